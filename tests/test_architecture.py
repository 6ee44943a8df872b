"""The dependency rules of docs/architecture.md hold, and the tree is as it says."""

from __future__ import annotations

import ast
import collections
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCES = [
    path
    for folder in ("gateway", "ccproxy_site")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if "migrations" not in path.parts
]
# an optional package can only be tried where it is needed
LATE_IMPORTS = {"ccproxy_site/server/loop.py": {"uvloop"}}
# Django wants these flat
FLAT = {"gateway/migrations", "gateway/management/commands"}
MOST_MODULES = 16
MOST_LINES = 400
# names that say nothing of what is in the room
EMPTY_NAMES = {"utils", "util", "helpers", "common", "misc", "services", "signals"}


@cache
def trees() -> dict[Path, ast.Module]:
    return {path: ast.parse(path.read_text()) for path in SOURCES}


@cache
def imports() -> dict[Path, list[ast.Import | ast.ImportFrom]]:
    """What each module imports, wherever in it."""
    return {
        path: [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
        for path, tree in trees().items()
    }


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


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
    assert packages <= set(re.findall(r"`(gateway\.[a-z_]+)`", PAGE))


PAGE = (ROOT / "docs" / "architecture.md").read_text()


def test_the_documented_table_names_each_package_s_rooms_and_no_others():
    rooms: dict[str, set[str]] = collections.defaultdict(set)
    for path in SOURCES:
        place = path.relative_to(ROOT).parts
        top = place[0] if place[0] == "ccproxy_site" else ".".join(place[:2])
        inside = place[len(top.split(".")) : -1]
        if path.name == "__init__.py" and inside and inside[-1] not in {"commands", "en", "zh_Hans"}:
            rooms[top].add(inside[-1])
    documented: dict[str, set[str]] = {}
    for line in PAGE.splitlines():
        package = re.match(r"\| (`(?:gateway\.|ccproxy_site)[^|]*) \|", line)
        if package:
            named = re.findall(r"`(\w+)`", line.split(" | ")[2])
            documented |= {name: set(named) for name in re.findall(r"`([\w.]+)`", package[1]) if named}
    assert documented == dict(rooms)


def test_the_picture_of_the_packages_has_the_layers_of_the_contract():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["name"] == "Layers")
    unseen = {"apps", "urls", "checks", "templatetags", "migrations"}
    picture = PAGE.partition("```mermaid\nflowchart")[2].partition("```")[0]
    boxes = {
        name: re.split(r" · ", text) if " · " in text else [text.partition("<br>")[0]]
        for name, text in re.findall(r"(\w+)\[([^\]]+)\]", picture)
    }
    order = re.search(r"site( --> \w+)+", picture)
    assert order is not None
    drawn = [name for box in order[0].split(" --> ")[1:] for name in boxes[box]]
    allowed = [set(layer.split(" | ")) - unseen for layer in layers]
    expected = [name for layer in allowed for name in sorted(layer, key=drawn.index)]
    assert drawn == expected


# what a library is imported as, where that is not its name
IMPORTED_AS = {
    "python-dotenv": "dotenv",
    "django-environ": "environ",
    "django-unfold": "unfold",
    "toktok-rs": "toktok",
    "google-re2": "re2",
    "markdown-it-py": "markdown_it",
    "genai-prices": "genai_prices",
    "prometheus-client": "prometheus_client",
    "PyYAML": "yaml",
}


def test_a_library_is_imported_where_the_documentation_says():
    table = PAGE.partition("| Library | For | Imported in |")[2].partition("## ")[0]
    texts = {path: path.read_text() for path in SOURCES}
    wrong = []
    for line in table.splitlines():
        if not line.startswith("| ") or line.startswith("|---"):
            continue
        names, _, places = (cell.strip() for cell in line.split("|")[1:4])
        documented = set(re.findall(r"`([\w/]+(?:\.py)?)`", places))
        if not documented or places.startswith("`tests/"):
            continue
        library = names.partition(",")[0]
        imported = IMPORTED_AS.get(library, library)
        importers = {
            named(path).removeprefix("gateway/").removeprefix("ccproxy_site/")
            for path, nodes in imports().items()
            if any(imported in modules_of(node) for node in nodes)
            or f'import_module("{imported}' in texts[path]
        }
        folders = {place for place in documented if not place.endswith(".py")}
        importers = {
            next((folder for folder in folders if place.startswith(folder)), place) for place in importers
        }
        if importers != {place.removeprefix("ccproxy_site/") for place in documented}:
            wrong.append((library, sorted(importers), sorted(documented)))
    assert not wrong


def test_nothing_is_imported_inside_a_function():
    found = [
        f"{named(path)}:{node.lineno}"
        for path, tree in trees().items()
        for node in late_imports(tree)
        if not {alias.name for alias in node.names} <= LATE_IMPORTS.get(named(path), set())
    ]
    assert not found


def late_imports(tree: ast.Module) -> Iterator[ast.Import | ast.ImportFrom]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from (inner for inner in ast.walk(node) if isinstance(inner, ast.Import | ast.ImportFrom))


def test_every_module_says_what_it_is_for():
    silent = [named(path) for path, tree in trees().items() if tree.body and not ast.get_docstring(tree)]
    assert not silent


def test_every_package_that_holds_rooms_or_modules_says_what_belongs_there():
    packages = {path.parent for path in SOURCES if path.name != "__init__.py"}
    silent = [
        named(package)
        for package in sorted(packages)
        if package.name not in {"commands", "templatetags", "en", "zh_Hans"}
        and (package / "__init__.py").exists()
        and not ast.get_docstring(trees()[package / "__init__.py"])
    ]
    assert not silent


def test_no_folder_or_module_is_named_for_nothing_in_particular():
    names = {path.stem for path in SOURCES} | {path.parent.name for path in SOURCES}
    assert not names & EMPTY_NAMES


def test_no_folder_has_more_modules_than_can_be_seen_at_once():
    sizes = collections.Counter(named(path.parent) for path in SOURCES if path.name != "__init__.py")
    assert not {name: size for name, size in sizes.items() if size > MOST_MODULES and name not in FLAT}


def test_no_module_is_longer_than_fits_in_a_head():
    sizes = {named(path): len(path.read_text().splitlines()) for path in SOURCES}
    assert not {name: lines for name, lines in sizes.items() if lines > MOST_LINES}


def test_no_two_public_classes_share_a_name():
    places = collections.defaultdict(list)
    for path, tree in trees().items():
        # each command of Django's is a class Command
        if "commands" in path.parts:
            continue
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(named(path))
    assert not {name: where for name, where in places.items() if len(where) > 1}


# engines of regular expressions, and what of Django and the library takes one
ENGINES = {"re", "regex", "re2", "sre_compile", "sre_parse", "fnmatch", "_sre"}


def test_only_the_patterns_package_compiles_expressions():
    found = [
        f"{named(path)}:{node.lineno}"
        for path, nodes in imports().items()
        if path.parent != ROOT / "gateway" / "patterns"
        for node in nodes
        if modules_of(node) & ENGINES
    ]
    assert not found


def modules_of(node: ast.Import | ast.ImportFrom) -> set[str]:
    names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
    return {name.partition(".")[0] for name in names}


# modules of other projects that the documentation of providers names
ELSEWHERE = {"common_utils.py", "main.py"}


def test_a_module_that_prose_names_is_there():
    """Comments, docstrings and pages say where something is; a module that moved takes them along."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    there = ["/" + name for name in listed.stdout.split()]
    gone = [
        f"{named(path)}: {name}"
        for path in [*SOURCES, *sorted((ROOT / "docs").glob("*.md"))]
        for name in re.findall(r"(?<![\w*/.])([\w/]+\.py)\b", path.read_text())
        if name not in ELSEWHERE
        and name.rpartition("/")[2] not in ELSEWHERE
        and not any(file.endswith("/" + name) for file in there)
    ]
    assert not gone
