"""What the documentation promises is there: options, codes, words, variables, links, examples."""

import ast
import io
import json
import re
import subprocess
import tokenize
from functools import cache
from pathlib import Path

import pytest
from django.core.management import get_commands

from ccproxy_site.environment import CUSTOM_HEADER_PREFIX, VARIABLES
from gateway import models
from gateway.config.presets.recognise import recognised
from gateway.conversion.ledger import CODES
from gateway.management import dryrun

ROOT = Path(__file__).parents[1]
CONVERSION = (ROOT / "docs" / "conversion.md").read_text()
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text()
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
OPTIONS = json.loads((ROOT / "gateway" / "conversion" / "profile.schema.json").read_text())["properties"]


def section(page: str, heading: str) -> str:
    """The text under a heading, up to the next one of its level or a higher one."""
    level = heading.split(" ")[0]
    _, found, rest = page.partition(f"\n{heading}\n")
    assert found, f"no heading {heading}"
    return re.split(rf"^#{{1,{len(level)}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def rows(text: str) -> list[list[str]]:
    """The cells of all table rows, without heads and rules."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    rules = {number for number, line in enumerate(lines) if re.fullmatch(r"[|\-: ]+", line)}
    return [row for number, row in enumerate(cells) if not {number, number + 1} & rules]


def code_in(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def words_of(schema: dict) -> list[str]:
    """Every word an option can be."""
    places = [schema, schema.get("items", {}), *schema.get("anyOf", [])]
    listed = [value for place in places for value in place.get("enum", [])]
    return [value for value in dict.fromkeys(listed) if isinstance(value, str)]


OPTION_ROWS = {code_in(row[0])[0]: row for row in rows(section(CONVERSION, "## Profile options"))}


def test_every_profile_option_is_explained_and_no_other():
    assert OPTION_ROWS.keys() == OPTIONS.keys()
    assert all(len(row) == 3 and len(row[2]) > 20 for row in OPTION_ROWS.values())


def test_an_option_is_shown_with_every_value_and_its_default_first():
    for name, option in OPTIONS.items():
        shown = code_in(OPTION_ROWS[name][1])
        assert set(words_of(option)) <= set(shown), name
        default = option["default"]
        first = default if isinstance(default, list) and default else [default]
        first = first[:1] if len(first) > 12 else first
        written = [value if isinstance(value, str) and value else json.dumps(value) for value in first]
        assert shown[: len(written)] == written, name


def test_every_ledger_code_is_explained_and_no_other():
    found = [code_in(row[0])[0] for row in rows(section(CONVERSION, "## The ledger"))]
    assert sorted(found) == sorted(CODES)


def fenced(text: str) -> list[str]:
    return re.findall(r"^```[a-z]*\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


EXAMPLES = fenced(section(CONVERSION, "## Look into a conversion"))


def test_the_example_of_a_request_is_what_the_command_prints():
    case = EXAMPLES[0].partition("$ cat case.json\n")[2].rpartition("\n$ ")[0]
    assert dryrun.run(json.loads(case)) == json.loads(EXAMPLES[1])


def test_the_example_of_an_error_is_what_the_command_prints():
    case, _, printed = EXAMPLES[2].partition("<<'END'\n")[2].partition("\nEND\n")
    assert dryrun.run(json.loads(case)) == json.loads(printed)


def test_the_example_of_a_stream_is_what_the_command_prints():
    case, _, printed = EXAMPLES[3].partition('entry["note"])\'\n')[2].partition("\nEND\n")
    got = dryrun.run(json.loads(case))
    events = [json.dumps(event["data"]) for event in got["events"]]
    ledger = [f"{entry['code']} {entry['path']} - {entry['note']}" for entry in got["ledger"]]
    assert [*events, *ledger] == printed.splitlines()


@cache
def names_in_code() -> dict[str, set[str]]:
    """Names of modules, classes and functions, each with the files it stands in."""
    names: dict[str, set[str]] = {}
    for folder in ("gateway", "ccproxy_site"):
        for path in (ROOT / folder).rglob("*.py"):
            if "migrations" in path.parts:
                continue
            kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
            found = [node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, kinds)]
            for name in (path.stem, *found):
                names.setdefault(name, set()).add(str(path.relative_to(ROOT)))
    return names


def test_each_name_of_the_glossary_is_in_the_code():
    listed = [name for row in rows(section(GLOSSARY, "## What we say")) for name in code_in(row[2])]
    assert len(listed) > 30
    assert [name for name in listed if name not in names_in_code()] == []


def test_each_word_of_the_glossary_occurs_in_the_code():
    """In its names, where `SetAside` reads as "set aside", or in its prose."""
    texts = [
        path.read_text() for folder in ("gateway", "ccproxy_site") for path in (ROOT / folder).rglob("*.py")
    ]
    names = [re.sub(r"(?<=[a-z])(?=[A-Z])|_", " ", name) for name in names_in_code()]
    said = re.sub(r"[\s#*`]+", " ", " ".join([*names, *texts])).lower()
    words = [word for row in rows(section(GLOSSARY, "## What we say")) for word in row[0].lower().split(", ")]
    assert len(words) > 100
    assert [word for word in words if word not in said] == []


# parts of records that the glossary has, and bases of records
PARTS_OF_RECORDS = {
    "Attempt", "ConfigRecord", "CountedTool", "CountedTurn", "CountedUnit", "DailyOutcome", "DailyTool",
    "Decision", "Delivery", "HourlyLedger", "HourlyOutcome", "HourlyTool", "LimitCounter", "Origin",
    "RefusedKey", "SavedElsewhere", "Sealed", "SearchText",
}  # fmt: skip


def test_each_kind_of_record_is_in_the_glossary():
    """What is stored has a word of its own, so a new record brings its line."""
    records = {name for name in models.__all__ if isinstance(getattr(models, name), type)}
    records = {name for name in records if not name.endswith("Field")}
    listed = {name for row in rows(section(GLOSSARY, "## What we say")) for name in code_in(row[2])}
    assert sorted(records - listed - PARTS_OF_RECORDS) == []
    assert sorted(PARTS_OF_RECORDS - records) == []


def test_a_word_of_the_glossary_has_one_line():
    words = [row[0] for row in rows(section(GLOSSARY, "## What we say"))]
    assert len(words) == len(set(words))


def test_words_that_the_glossary_keeps_out_of_names_are_in_none():
    listed = rows(section(GLOSSARY, "## Words that are no names in code"))
    unwanted = {word for row in listed for word in row[0].split(", ")}
    assert {"util", "utils", "helpers"} <= unwanted
    guilty = {
        name: files
        for name, files in names_in_code().items()
        if unwanted & {part.lower() for part in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}
    }
    assert guilty == {}


def test_the_readme_names_every_variable_and_no_other():
    listed = {name for row in rows(section(README, "## Variables")) for name in code_in(row[0])}
    assert listed == {*VARIABLES, f"{CUSTOM_HEADER_PREFIX}*"}


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page: Path) -> list[str]:
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_and_headings_that_are_there(page):
    broken = []
    for link in links(page):
        file, _, heading = link.partition("#")
        target = (page.parent / file) if file else page
        if not target.exists() or (heading and heading not in anchors(target)):
            broken.append(link)
    assert broken == []


def provider_rows(page: str) -> list[str]:
    """The rows of the table of providers in a README: those that say what to put into .env."""
    return [line for line in page.splitlines() if line.startswith("|") and "BIG_MODEL=" in line]


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_the_models_of_the_readmes_are_those_of_the_presets(name):
    """A model in capitals stands for what the reader fills in. A row names the small model too: its
    default is another service's."""
    found = provider_rows((ROOT / name).read_text())
    assert len(found) == 8
    for row in found:
        entered = dict(code.split("=", 1) for code in code_in(row) if "=" in code)
        known = recognised(entered.get("OPENAI_BASE_URL", "https://api.openai.com/v1")).preset
        for size in ("big", "small"):
            model = entered[f"{size.upper()}_MODEL"]
            assert model.isupper() or model == known.default_models[size], (row, known.slug)


# a pointer from code to the rule it follows: a page, and headings of it in quotation marks
POINTER = re.compile(r"docs/([\w-]+\.md)((?:(?:,| and) \"[^\"]+\")*)")
# how code once named a rule: by the number of a section or decision of a text that is not here
NUMBERED = re.compile(
    r"specification|(?<!RFC \d{4}, )(?<!RFC \d{3}, )\bsections? \d|\bdecision D?\d|\bD\d{1,2}\b|\btrap T?\d"
    r"|\(\d\.\d(?:(?:, | and )\d\.\d)*\)",
    re.IGNORECASE,
)
CODE = (
    "gateway",
    "ccproxy_site",
    "tests",
    "bench",
    "chaos",
    "deploy",
    "Makefile",
    "pyproject.toml",
    ".env.example",
)


def tracked(*places: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", *places], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [ROOT / name for name in listed.stdout.split("\0") if name]


def one_line(text: str) -> str:
    """Text without line breaks, the marks of comments and the escapes of JSON."""
    return re.sub(r"\s*\n\s*(?:# ?)?", " ", text).replace('\\"', '"')


@cache
def prose(path: Path) -> list[str]:
    """The docstrings and comments of a module; comments on lines that follow each other are one."""
    text = path.read_text()
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    found = [ast.get_docstring(node) or "" for node in ast.walk(ast.parse(text)) if isinstance(node, kinds)]
    comments: dict[int, str] = {}
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            line = token.start[0]
            comments[line] = f"{comments.pop(line - 1, '')}\n{token.string}"
    return [one_line(said) for said in (*found, *comments.values())]


SOURCES = [
    path
    for path in tracked(*CODE)
    if path.suffix in {".py", ".json", ".html", ".toml", ".yaml", ".service", ""}
]
MODULES = [path for path in SOURCES if path.suffix == ".py" and "migrations" not in path.parts]
HEADINGS = {page.name: re.findall(r"^#+ (.+)$", page.read_text(), flags=re.MULTILINE) for page in PAGES[1:]}


def test_headings_that_code_points_to_are_there():
    """Each pointer has one form: docs/conversion.md, "Tool results" and "Ids of calls"."""
    lost = []
    count = 0
    for path in SOURCES:
        for page, headings in POINTER.findall(one_line(path.read_text())):
            named = re.findall(r'"([^"]+)"', headings)
            count += len(named)
            lost += [f"{path.relative_to(ROOT)}: {page}"] if page not in HEADINGS else []
            lost += [
                f"{path.relative_to(ROOT)}: {name}" for name in named if name not in HEADINGS.get(page, ())
            ]
    assert lost == []
    assert count > 100


def test_a_pointer_of_the_product_names_a_heading_and_not_a_page_alone():
    bare = [
        f"{path.relative_to(ROOT)}: {said[:80]}"
        for path in MODULES
        if path.relative_to(ROOT).parts[0] in ("gateway", "ccproxy_site")
        for said in prose(path)
        for _, headings in POINTER.findall(said)
        if not headings
    ]
    assert bare == []


def test_a_heading_that_code_points_to_stands_once_in_its_page():
    pointed = {
        (page, name)
        for path in SOURCES
        for page, headings in POINTER.findall(one_line(path.read_text()))
        for name in re.findall(r'"([^"]+)"', headings)
    }
    assert [(page, name) for page, name in pointed if HEADINGS[page].count(name) > 1] == []


def test_no_rule_is_named_by_a_number():
    found = [
        f"{path.relative_to(ROOT)}: {said[max(0, match.start() - 40) : match.end() + 20]}"
        for path in MODULES
        for said in prose(path)
        for match in NUMBERED.finditer(said)
    ]
    assert found == []


@pytest.mark.parametrize(("page", "heading"), [("README.md", "## Variables"), ("README.zh-CN.md", "## 变量")])
def test_the_readmes_show_the_default_of_each_variable(page, heading):
    shown = {
        name: default.strip()
        for line in section((ROOT / page).read_text(), heading).splitlines()
        if line.startswith("| `")
        for names, defaults in [line.strip("|").split("|")[:2]]
        for name, default in zip(code_in(names), re.split(r", |，", defaults), strict=False)
    }
    found = {name: said.strip("`") for name, said in shown.items() if re.fullmatch(r"(`[^`]+`)?", said)}
    wanted = {name: VARIABLES[name].written() for name in found.keys() & VARIABLES.keys()}
    told = wanted.keys() - SAID_OTHERWISE
    assert {name: found[name] for name in told} == {name: wanted[name] for name in told}
    assert len(told) > 30


# Django's stand in one row; the folder is named as one sees it
SAID_OTHERWISE = {
    *("DATA_DIR", "DEBUG", "ALLOWED_HOSTS", "CSRF_TRUSTED_ORIGINS"),
    *("SECURE_COOKIES", "LANGUAGE_CODE", "TIME_ZONE"),
}


READMES = ("README.md", "README.zh-CN.md")


def block_lines(text: str) -> list[str]:
    """The lines of the indented blocks, without their comments."""
    return [line.split("  #")[0].strip() for line in text.splitlines() if line.startswith("    ")]


def start_of(name: str) -> tuple[list[str], list[str]]:
    """The lines of a README that start the gateway, and those that start Claude Code."""
    page = (ROOT / name).read_text()
    before, _, after = page.partition("    export ANTHROPIC_BASE_URL")
    return block_lines(before), block_lines("    export ANTHROPIC_BASE_URL" + after.split("\n\n")[0])


@pytest.mark.parametrize("name", READMES)
def test_each_line_that_starts_the_gateway_is_one_that_make_and_ccproxy_know(name):
    commands = set(get_commands())
    lines, _ = start_of(name)
    assert [line.split(" ")[0] for line in lines] == ["make", "make", "uvx", "ccproxy"]
    for line in lines:
        words = line.split()
        if words[0] == "make":
            told = subprocess.run([*words, "--dry-run"], cwd=ROOT, capture_output=True, text=True)
            assert told.returncode == 0, told.stderr
        else:
            assert words[words.index("ccproxy") + 1] in commands


@pytest.mark.parametrize("name", READMES)
def test_the_three_lines_start_claude_with_the_address_of_the_gateway(name, tmp_path):
    claude = tmp_path / "claude"
    claude.write_text('#!/bin/sh\necho "$ANTHROPIC_BASE_URL $ANTHROPIC_AUTH_TOKEN"\n')
    claude.chmod(0o700)
    _, lines = start_of(name)
    told = subprocess.run(
        ["/bin/sh", "-e", "-c", "\n".join(lines)],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    port = VARIABLES["PORT"].default
    assert told.stdout == f"http://127.0.0.1:{port} anything\n", told.stderr


def test_both_readmes_start_with_the_same_lines():
    english, chinese = map(start_of, READMES)
    assert english == chinese
