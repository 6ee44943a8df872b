"""Mutation tests of one module: `make mutants MODULE=gateway/wire/recurring.py`.

Each mutant is the module with one small change (cosmic-ray makes them); one that no test
notices survives and is shown. Runs in a copy of the repository, because mutants are written
into the source. Exit status 1: something survived that is not explained here.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
# which tests are to notice; a module that is not listed here is tested by the folder of its name
TESTS = {
    "gateway/wire/recurring.py": "tests/wire/test_recurring.py tests/wire/test_line_between_clients.py",
    "gateway/conversion/passages.py": "tests/conversion/test_passages.py",
    "gateway/conversion/tool_work.py": "tests/conversion/test_passages.py tests/conversion/test_tool_work.py",
    "gateway/conversion/opaque.py": "tests/conversion/test_opaque.py",
    "gateway/audit/digests.py": "tests/audit/test_digests.py",
}
# annotations and defaults of constants; what they do is not behaviour
OPERATORS_WITHOUT_MEANING = [
    "core/ReplaceBinaryOperator_BitOr_.*",
    "core/RemoveDecorator",
]
SECONDS = 120


def main(module: str) -> int:
    tests = TESTS.get(module, f"tests/{Path(module).parent.name}")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "copy")
        _copied(copy)
        config = Path(folder, "mutants.toml")
        config.write_text(
            "[cosmic-ray]\n"
            f'module-path = "{module}"\n'
            f"timeout = {SECONDS}\n"
            "excluded-modules = []\n"
            f'test-command = "{sys.executable} -m pytest -x -q -n 0 -p no:cacheprovider {tests}"\n'
            '[cosmic-ray.distributor]\nname = "local"\n'
            f"[cosmic-ray.filters.operators-filter]\nexclude-operators = {OPERATORS_WITHOUT_MEANING}\n"
        )
        session = Path(folder, "mutants.sqlite")
        for command in (
            ["cosmic-ray", "init", config, session],
            ["cr-filter-operators", session, config],
            ["cosmic-ray", "exec", config, session],
        ):
            subprocess.run([BIN / command[0], *command[1:]], cwd=copy, check=True)
        report = [BIN / "cr-report", "--surviving-only", "--show-diff", session]
        shown = subprocess.run(report, cwd=copy, capture_output=True, text=True, check=True).stdout
    print(shown)
    return int("SURVIVED" in shown)


def _copied(target: Path) -> None:
    """The files of the repository, also those that are not committed, without what git ignores."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    for name in filter(None, listed.split("\0")):
        source = ROOT / name
        if source.is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_bytes(source.read_bytes())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
