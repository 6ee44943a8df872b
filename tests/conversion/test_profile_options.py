"""No option is dead: each is read by the code that keeps its promise."""

import ast
import dataclasses
from pathlib import Path

from gateway.conversion.profile import Profile

GATEWAY = Path(__file__).parents[2] / "gateway"
PROFILE = GATEWAY / "conversion" / "profile.py"


def attributes(path: Path) -> set[str]:
    return {node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}


def derived() -> dict[str, set[str]]:
    """The properties of Profile, each with the options that it is made of."""
    tree = ast.parse(PROFILE.read_text())
    made = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.decorator_list]
    return {
        node.name: {part.attr for part in ast.walk(node) if isinstance(part, ast.Attribute)} for node in made
    }


OPTIONS = [option.name for option in dataclasses.fields(Profile)]


def test_every_option_is_read_outside_the_profile():
    read = {name for path in GATEWAY.rglob("*.py") if path != PROFILE for name in attributes(path)}
    read |= {option for name, options in derived().items() if name in read for option in options}
    assert [name for name in OPTIONS if name not in read] == []


def test_every_option_stands_in_a_test():
    tests = (path for path in Path(__file__).parent.parent.rglob("*.py") if path != Path(__file__))
    vectors = (Path(__file__).parent.parent / "vectors").glob("*.json")
    written = "".join(path.read_text() for path in (*tests, *vectors))
    assert [name for name in OPTIONS if name not in written] == []
