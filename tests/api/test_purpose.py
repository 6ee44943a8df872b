"""What a request is for, from the header to the history and to where it goes."""

from gateway.routing.snapshot import Target
from tests.client_protocol.captured import classifier, protocol
from tests.conftest import asking, rule
from tests.fakes.provider import completion

HINTS = {
    "x-claude-code-request-class": "subagent",
    "x-claude-code-agent-type": "Explore",
    "x-claude-code-prompt-id": "p-1",
    "x-claude-code-prev-tool-durations": "Bash=608",
}


async def test_what_the_client_says_is_stored_with_the_request(bench):
    bench.provider.answers("m", completion("hi"))
    await bench.client.messages(asking(), headers={**HINTS, "x-request-id": "proxy-1"})
    told = bench.recorder.last
    assert (told.request_class, told.class_inferred, told.agent_type) == ("subagent", False, "Explore")
    assert (told.prompt_id, told.tool_durations) == ("p-1", [["Bash", 608]])
    assert told.caller_request_id == "proxy-1"
    assert type(told.request_class) is str
    assert bench.recorder.open[-1].request_class == "subagent"


async def test_requests_for_different_purposes_go_to_different_models(bench):
    rules = [
        rule("*", upstream_model="small", id=1, when={"class": ["auxiliary"]}),
        rule("*", upstream_model="middle", id=2, when={"class": ["subagent"]}),
        rule("*", upstream_model="big", id=3),
    ]
    bench.configure(rules=rules)
    for model in ("small", "middle", "big"):
        bench.provider.answers(model, completion(model))
    for name, model in (("09", "small"), ("17", "middle"), ("13", "big")):
        headers, body = protocol(name)
        hints = {key: value for key, value in headers.items() if key.startswith("x-claude")}
        ask = {**asking(), "tools": body["tools"] and [{"name": "f", "input_schema": {"type": "object"}}]}
        answer = await bench.client.messages(ask, headers=hints)
        assert answer.json["content"][0]["text"] == model


async def test_the_clients_own_safety_check_goes_where_its_condition_leads(bench):
    judge = rule("claude-sonnet-5", upstream_model="judge", id=1, when={"class": ["classifier"]})
    bench.configure(rules=[judge, rule("*", id=2, targets=(Target("fake", "big"),))])
    bench.provider.answers("judge", completion("<severity>1</severity>"))
    headers, body = classifier()
    answer = await bench.client.messages(body, headers={"user-agent": headers["user-agent"]})
    assert answer.json["content"][0]["text"] == "<severity>1</severity>"
    assert (bench.recorder.last.request_class, bench.recorder.last.task) == ("auxiliary", "classifier")


async def test_a_name_that_is_not_known_is_noted(bench):
    bench.provider.answers("m", completion("hi"))
    await bench.client.messages(
        asking(), headers={"user-agent": "claude-cli/9.9 (x)", "anthropic-beta": "zz-1"}
    )
    assert bench.recorder.last.novelties == [["claude-cli/9.9", "beta", "zz-1"]]
