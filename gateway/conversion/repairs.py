"""Repairs of answers: what the gateway had to put right, as values with a kind.

An admin sees by kind which provider needs how much of it (`HourlyLedger`). A reading that nothing is
in doubt about is no repair; what was lost for other reasons is an entry of another code.
"""

from __future__ import annotations

from typing import Final

from gateway.conversion.ledger import LONGEST_KIND, Repair

CALL_ASSEMBLED: Final = Repair(
    "call", "repaired", "content.tool_use", "ids and indexes do not tell the calls apart"
)
CALL_SPLIT: Final = Repair("call", "repaired", "content.tool_use", "two calls came as one")
CALL_REPEATED: Final = Repair(
    "repetition", "repaired", "content.tool_use", "a call that was repeated is there once"
)
CALL_NAMELESS: Final = Repair(
    "call", "dropped", "content.tool_use", "the upstream called a tool without naming it"
)
CALL_CUT: Final = Repair("call", "dropped", "content.tool_use", "the content filter cut the tool call off")
CALL_SURPLUS: Final = Repair("call", "dropped", "content.tool_use", "only one tool call was asked for")
CALL_WRITTEN: Final = Repair(
    "call", "dropped", "content.tool_use", "the model wrote a tool call that the provider did not read as one"
)
PLACEHOLDER: Final = Repair(
    "placeholder", "repaired", "content.tool_use.input", "a placeholder beside the arguments is left out"
)
ARGUMENTS: Final = Repair(
    "arguments", "repaired", "content.tool_use.input", "the arguments were not a valid JSON object"
)
TOOL_NAME: Final = Repair(
    "name", "repaired", "content.tool_use.name", "the name had more around it than the tool's"
)
CALL_ID_REPLACED: Final = Repair(
    "call id", "renamed", "content.tool_use.id", "the upstream's id is not legal or not unique"
)
CALL_ID_MADE: Final = Repair("call id", "defaulted", "content.tool_use.id", "the upstream gave no id")
STATE_LATE: Final = Repair(
    "state",
    "dropped",
    "content.tool_use.id",
    "the provider's opaque data came after the call had begun",
)
THINKING_ALONE: Final = Repair(
    "form", "repaired", "content.text", "the answer stood in the reasoning alone, and is shown as text"
)
TEXT_REPEATED: Final = Repair(
    "repetition", "repaired", "content.text", "text that was said again as a whole is there once"
)
TEXT_GROWS: Final = Repair(
    "repetition", "repaired", "content.text", "text that grows with each chunk is there once"
)
TEXT_DIFFERS: Final = Repair(
    "repetition", "repaired", "content.text", "a text was told twice, and differently; the first stays"
)
THINKING_REPEATED: Final = Repair(
    "repetition", "repaired", "content.thinking", "thinking that was said again as a whole is there once"
)
THINKING_GROWS: Final = Repair(
    "repetition", "repaired", "content.thinking", "thinking that grows with each chunk is there once"
)
PREFILL_REPEATED: Final = Repair(
    "repetition", "repaired", "content.text", "the prefill came again and is left out"
)
MARKS: Final = Repair("marks", "repaired", "content.text", "marks of the model's template are left out")
CHARACTERS: Final = Repair(
    "characters", "repaired", "content", "bytes that are no UTF-8 are replacement characters"
)
HALF_CHARACTER: Final = Repair(
    "characters", "dropped", "content", "a text ended in half a character, and the other half never came"
)
SKIPPED: Final = Repair("form", "dropped", "content", "data of the stream that is none of the protocol's")
OTHER_FORM: Final = Repair("form", "repaired", "content", "the answer came in another form than asked for")
EVENT_NAME: Final = Repair("form", "repaired", "content", "events came without their names")
BLOCK_START: Final = Repair(
    "form", "repaired", "content", "a block began with its content, or without a field that it has to have"
)
MESSAGE_START: Final = Repair("form", "repaired", "content", "the answer did not say that it began")
BLOCK_INDEX: Final = Repair("form", "repaired", "content", "blocks were not counted from 0 on")
BLOCK_ENDS: Final = Repair("form", "repaired", "content", "a block was not closed, or one that was not open")
CHOICES: Final = Repair("choices", "repaired", "content", "several choices are joined to one answer")
REASON_TAKEN_BACK: Final = Repair(
    "stop reason", "repaired", "stop_reason", "a finish reason came before the end of the answer"
)
REASON_UNKNOWN: Final = Repair(
    "stop reason",
    "defaulted",
    "stop_reason",
    "the upstream gave no known finish reason; taken from the content",
)
REASON_CALLS: Final = Repair(
    "stop reason", "repaired", "stop_reason", "the finish reason told no call, and there is one"
)
REASON_LIMIT: Final = Repair(
    "stop reason",
    "repaired",
    "stop_reason",
    "the answer ended in half a call at its token limit, and the finish reason told no limit",
)
REASON_NO_CALLS: Final = Repair(
    "stop reason", "repaired", "stop_reason", "the finish reason told a call, and there is none"
)
USAGE_MISSING: Final = Repair(
    "usage", "defaulted", "usage", "the upstream did not tell all token counts; estimated"
)
USAGE_LATER: Final = Repair(
    "usage", "repaired", "usage", "a later count that took away from an earlier one is not believed"
)
USAGE_NO_PROMPT: Final = Repair(
    "usage", "repaired", "usage.input_tokens", "no prompt is empty: the count is not believed"
)
USAGE_NO_ANSWER: Final = Repair(
    "usage", "repaired", "usage.output_tokens", "the answer is not empty: the count is not believed"
)
USAGE_CACHED: Final = Repair(
    "usage", "repaired", "usage.input_tokens", "cached tokens stood beside the prompt and were added"
)
USAGE_REASONING: Final = Repair(
    "usage", "repaired", "usage.output_tokens", "reasoning stood in the total alone and was added"
)

REPAIRS: Final = tuple(value for value in list(globals().values()) if isinstance(value, Repair))
REPAIR_KINDS: Final = frozenset(repair.kind for repair in REPAIRS)
_KINDS: Final = {repair.note: repair.kind for repair in REPAIRS}


def counted_under(code: str, note: str) -> str:
    """Under what a ledger entry is counted: the kind of a repair, else its code."""
    return _KINDS.get(note, code)[:LONGEST_KIND]
