"""The dependency rules of docs/architecture.md hold, and its table of packages is the tree."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = [
    path
    for folder in ("gateway", "ccproxy_site")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if "migrations" not in path.parts
]
# an optional package can only be tried where it is needed
LATE_IMPORTS = {"ccproxy_site/server/loop.py": {"uvloop"}}


def test_the_import_contracts_hold():
    result = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout
    assert " 0 broken" in result.stdout


def test_every_package_of_the_gateway_is_in_the_documented_table():
    packages = {f"gateway.{path.parent.name}" for path in (ROOT / "gateway").glob("*/__init__.py")} - {
        "gateway.migrations",
        "gateway.templatetags",
    }
    table = (ROOT / "docs" / "architecture.md").read_text()
    assert packages <= set(re.findall(r"`(gateway\.[a-z]+)`", table))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_is_imported_inside_a_function(path):
    allowed = LATE_IMPORTS.get(str(path.relative_to(ROOT)), set())
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for inner in ast.walk(node):
                if isinstance(inner, ast.Import | ast.ImportFrom):
                    names = {alias.name for alias in inner.names}
                    assert names <= allowed, f"{path.name}:{inner.lineno} imports {names}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_says_what_it_is_for(path):
    text = path.read_text()
    assert not text.strip() or ast.get_docstring(ast.parse(text)), f"{path} has no docstring"


def test_no_folder_or_module_is_named_for_nothing_in_particular():
    names = {path.stem for path in SOURCES} | {path.parent.name for path in SOURCES}
    assert not names & {"utils", "util", "helpers", "common", "misc", "services", "signals"}


# engines of regular expressions, and what of Django and the library takes one
ENGINES = {"re", "regex", "re2", "sre_compile", "sre_parse", "fnmatch", "_sre"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_the_patterns_package_compiles_expressions(path):
    if path.parent == ROOT / "gateway" / "patterns":
        return
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        assert not {name.partition(".")[0] for name in names} & ENGINES, f"{path.name}:{node.lineno}"
