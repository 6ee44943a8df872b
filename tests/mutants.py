"""Mutation tests of one module: `make mutants MODULE=gateway/wire/request_cache.py`.

A mutant is the module with one small change (cosmic-ray makes them). Each is tested in a process of its
own, which loads it in the module's place; no file is touched. A mutant that no test notices survives
and is shown. Exit status 1: something survived, and EXPLAINED does not say why it may.
"""

import difflib
import importlib.abc
import importlib.util
import os
import signal
import sys
import time
from pathlib import Path

import django  # noqa: F401  loaded before the forks, for their speed
import hypothesis  # noqa: F401
import pytest
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

# the tests that are to notice; the quick ones first, because the first that fails ends it
TESTS = {
    "gateway/wire/request_cache.py": [
        "tests/wire/test_line_between_clients.py",
        "tests/wire/test_request_cache.py",
    ],
    "gateway/conversion/requests/messages/incremental_conversation.py": [
        "tests/conversion/requests/messages/test_incremental_conversation.py"
    ],
    "gateway/conversion/tools/tool_plan.py": [
        "tests/conversion/requests/messages/test_incremental_conversation.py"
    ],
    "gateway/conversion/provider_state.py": ["tests/conversion/test_provider_state.py"],
    "gateway/history/content/digests.py": ["tests/history/content/test_digests.py"],
    "gateway/cache.py": ["tests/test_cache.py"],
    "gateway/limits/windows.py": ["tests/limits/test_windows.py", "tests/limits/test_meters.py"],
    "gateway/limits/meters.py": ["tests/limits/test_meters.py", "tests/limits/test_limiter.py"],
    "gateway/masking/redaction.py": ["tests/masking"],
    "gateway/history/secrets/masker.py": ["tests/history/secrets/test_masker.py"],
}
# what annotations say is no behaviour
WITHOUT_MEANING = ("core/ReplaceBinaryOperator_BitOr",)
# changed lines that may survive, and why
EXPLAINED = {
    "MOST: Final = 4 * 1024 * 1024": "how much is remembered is a choice",
    "MOST_PASSAGES: Final = 4 * 1024 * 1024": "how much is remembered is a choice",
    "MOST_LISTS: Final = 1024 * 1024": "how much is remembered is a choice",
    "LEAST_BODY: Final = 8 * 1024": "from where on a body is searched is a choice",
    "_MOST_LISTS: Final = 16": "how many are remembered is a choice",
}
SECONDS = 120


def main(module: str) -> int:
    source = Path(module).read_text()
    survivors = unexplained = 0
    began = time.monotonic()
    mutants = mutants_of(source)
    for mutant in mutants:
        if killed(module, mutant):
            continue
        survivors += 1
        changed = [line[1:].strip() for line in difference(source, mutant) if line.startswith("-")]
        why = next((EXPLAINED[line] for line in changed if line in EXPLAINED), "")
        unexplained += not why
        print(
            "\n".join(difference(source, mutant)), f"   explained: {why}" if why else "   SURVIVED", sep="\n"
        )
    minutes = (time.monotonic() - began) / 60
    print(f"{module}: {len(mutants)} mutants in {minutes:.0f} minutes")
    print(f"{survivors} survived, {unexplained} of them unexplained")
    return int(unexplained > 0)


def mutants_of(source: str) -> list[str]:
    """The texts of all mutants of a module."""
    found: dict[str, None] = {}
    for name in sorted(operator_names()):
        operator = get_operator(name)
        if name.startswith(WITHOUT_MEANING) or operator.arguments():
            continue
        occurrence = 0
        while True:
            try:
                mutant = mutate_code(source, operator(), occurrence)
            except AttributeError:
                # cosmic-ray cannot replace an exception whose name has a dot
                mutant = source
            if mutant is None:
                break
            found[mutant] = None
            occurrence += 1
    found.pop(source, None)
    return list(found)


def difference(source: str, mutant: str) -> list[str]:
    lines = difflib.unified_diff(source.splitlines(), mutant.splitlines(), lineterm="", n=1)
    return [line for line in lines if not line.startswith(("---", "+++"))]


def killed(module: str, mutant: str) -> bool:
    """Whether a test fails, or never ends, with the mutant in the module's place."""
    child = os.fork()
    if child == 0:
        signal.alarm(SECONDS)
        os.environ["HYPOTHESIS_PROFILE"] = "mutants"
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 1)
        os.dup2(silent, 2)
        sys.meta_path.insert(0, InPlaceOf(module, mutant))
        tests = TESTS.get(module, [f"tests/{Path(module).parent.name}"])
        failed = pytest.main(["-x", "-q", "-n", "0", "-p", "no:cacheprovider", *tests])
        os._exit(int(failed != 0))
    return os.waitpid(child, 0)[1] != 0


class InPlaceOf(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Loads a text in a module's place."""

    def __init__(self, module: str, text: str) -> None:
        self._name = module.removesuffix(".py").replace("/", ".")
        self._code = compile(text, module, "exec")

    def find_spec(self, name, path=None, target=None):
        return importlib.util.spec_from_loader(name, self) if name == self._name else None

    def exec_module(self, module):
        exec(self._code, module.__dict__)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
