"""Verdicts by rules where the client reads them, for every protocol of provider."""

import json

import pytest

from gateway.safeguards.rules import ActionRule
from tests.conftest import asking, rule
from tests.conversion.openai_responses.scripts import function_call
from tests.fakes import messages, responses
from tests.fakes.provider import chunk, completion, stream

TOOL = {"name": "Bash", "input_schema": {"type": "object", "properties": {"command": {"type": "string"}}}}
ASKED = [{"type": "dangerous_tool_use", "classifier_context": {"v": 1, "live_cwd": "/w"}}]
RULES = (
    ActionRule(1, "deny", "Bash", "rm", explanation="Nothing is deleted here."),
    ActionRule(2, "allow", "Bash", "git status"),
)


def called(protocol, streamed, command):
    arguments = json.dumps({"command": command})
    if protocol == "chat":
        call = {"id": "call_1", "type": "function", "function": {"name": "Bash", "arguments": arguments}}
        if not streamed:
            return completion("", tool_calls=[call])
        return stream(chunk({"tool_calls": [{"index": 0, **call}]}))
    if protocol == "responses":
        item = function_call("call_1", "Bash", arguments)
        return responses.told(item) if streamed else responses.whole(item)
    block = {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"command": command}}
    return messages.whole(block)


async def asked(bench, protocol, streamed, command, rules=RULES, **fields):
    bench.configure(
        provider={"protocol": protocol},
        rules=[rule("claude-*", upstream_model="m")],
        safeguard_rules=rules,
    )
    bench.provider.answers("m", called(protocol, streamed, command))
    request = asking(model="claude-test", stream=streamed, tools=[TOOL], **{"safeguards": ASKED, **fields})
    answer = await bench.client.messages(request)
    assert answer.status == 200, answer.text
    if streamed:
        starts = [event["content_block"] for event in answer.events if event["type"] == "content_block_start"]
        [delta] = [event["delta"] for event in answer.events if event["type"] == "message_delta"]
        blocks, told = starts, delta.get("safeguard_results")
    else:
        blocks, told = answer.json["content"], answer.json.get("safeguard_results")
    ids = [block["id"] for block in blocks if block["type"] == "tool_use"]
    return ids, told


STORED = {"git status": ("allow", 2), "sudo rm -rf ~": ("deny", 1), "git status; id": ("undecided", None)}
WAYS = [(protocol, streamed) for protocol in ("chat", "responses", "anthropic") for streamed in (False, True)]


@pytest.mark.parametrize(("protocol", "streamed"), WAYS)
@pytest.mark.parametrize(
    ("command", "verdict"),
    [
        ("git status", {"type": "evaluated", "outcome": "not_flagged"}),
        (
            "sudo rm -rf ~",
            {"type": "evaluated", "outcome": "flagged", "explanation": "Nothing is deleted here."},
        ),
        ("git status; id", {"type": "unavailable", "reason": "error"}),
    ],
)
async def test_each_call_gets_the_verdict_of_the_rules(bench, protocol, streamed, command, verdict):
    ids, [told] = await asked(bench, protocol, streamed, command)
    assert len(ids) == 1
    assert told["type"] == "dangerous_tool_use"
    assert told["status"] == {"type": "available", "tool_uses": {ids[0]: verdict}}
    [stored] = bench.recorder.last.verdicts
    assert stored["tool"] == "Bash"
    assert (stored["decision"], stored["rule_id"]) == STORED[command]


@pytest.mark.parametrize(("protocol", "streamed"), WAYS)
async def test_without_rules_nobody_judges(bench, protocol, streamed):
    _ids, [told] = await asked(bench, protocol, streamed, "git status", rules=())
    assert told["status"] == {"type": "unavailable", "reason": "disabled"}
    assert bench.recorder.last.verdicts == []


@pytest.mark.parametrize("streamed", [False, True])
async def test_who_does_not_ask_is_not_judged(bench, streamed):
    _ids, told = await asked(bench, "chat", streamed, "git status", safeguards=None)
    assert told is None
    assert bench.recorder.last.verdicts == []


@pytest.mark.parametrize("streamed", [False, True])
async def test_an_answer_without_calls_has_an_empty_verdict(bench, streamed):
    bench.configure(rules=[rule()], safeguard_rules=RULES)
    bench.provider.answers("m", stream("hi") if streamed else completion("hi"))
    answer = await bench.client.messages(asking(stream=streamed, safeguards=ASKED))
    if streamed:
        [told] = [event["delta"] for event in answer.events if event["type"] == "message_delta"]
    else:
        told = answer.json
    assert told["safeguard_results"] == [
        {"type": "dangerous_tool_use", "status": {"type": "available", "tool_uses": {}}}
    ]


@pytest.mark.parametrize(
    "commands", [["rm x", "git status"], ["git status", "rm x"], ["rm x", "id"], ["id", "rm x"]]
)
async def test_of_calls_with_one_id_the_strictest_verdict_counts(bench, commands):
    bench.configure(
        provider={"protocol": "anthropic"},
        rules=[rule("claude-*", upstream_model="m")],
        safeguard_rules=RULES,
    )
    calls = [
        {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"command": one}} for one in commands
    ]
    bench.provider.answers("m", messages.whole(*calls))
    request = asking(model="claude-test", stream=False, tools=[TOOL], safeguards=ASKED)
    [told] = (await bench.client.messages(request)).json["safeguard_results"]
    assert {one["outcome"] for one in told["status"]["tool_uses"].values()} >= {"flagged"}
    assert told["status"]["tool_uses"].get("toolu_1", {}).get("outcome") == "flagged"
