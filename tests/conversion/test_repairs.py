"""Nothing is repaired silently: each repair of an answer is a value with a kind, by which it is counted."""

import ast
from pathlib import Path

from gateway.conversion.ledger import LONGEST_KIND, Ledger
from gateway.conversion.repairs import CALL_ID_MADE, CHOICES, REPAIRS, counted_under

ANSWERS = [
    path
    for room in ("answers", "tool_calls", "openai_responses")
    for path in Path("gateway/conversion", room).glob("*.py")
    if path.name not in ("items.py", "request.py")
]
PASSED = [Path("gateway/conversion/anthropic/stream.py"), Path("gateway/relay/attempt.py")]


def test_kinds_fit_their_column_and_notes_tell_them_apart():
    assert all(len(repair.kind) <= LONGEST_KIND for repair in REPAIRS)
    assert len({repair.note for repair in REPAIRS}) == len(REPAIRS) > 20


def test_the_conversion_of_answers_repairs_nothing_without_a_kind():
    assert len(ANSWERS) > 20
    for path in ANSWERS:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                owner = ast.unparse(node.func.value)
                assert not (
                    owner.endswith("ledger") and node.func.attr in ("repaired", "defaulted", "renamed")
                ), path


def test_every_repair_is_made_somewhere():
    used = "\n".join(path.read_text() for path in [*ANSWERS, *PASSED])
    source = Path("gateway/conversion/repairs.py").read_text()
    names = [line.partition(":")[0] for line in source.splitlines() if ": Final = Repair(" in line]
    assert len(names) == len(REPAIRS)
    assert [name for name in names if f"repairs.{name}" not in used] == []


def test_what_holds_for_the_whole_answer_counts_once():
    ledger = Ledger()
    for _ in range(3):
        ledger.repair(CHOICES, once=True)
        ledger.repair(CALL_ID_MADE)
    assert [counted_under(entry.code, entry.note) for entry in ledger.entries] == [
        "choices",
        *["call id"] * 3,
    ]
    assert counted_under("dropped", "image transformations") == "dropped"
