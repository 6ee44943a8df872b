import asyncio
import base64
import json
import zlib

import pytest

from gateway.conversion.profile import OPTION_NAMES
from gateway.routing.snapshot import ProviderConfig
from gateway.upstream.client import UpstreamClient
from gateway.upstream.trial.conformance import CAPABILITIES, CHECKS, conform, examined, png
from gateway.upstream.trial.trial_client import Asker
from tests.fakes.provider import FakeProvider, chunk, completion, error, stream

BY_NAME = {check.capability: check for check in CHECKS}


def calls(*names, arguments='{"city": "Paris"}'):
    made = [
        {"index": at, "id": f"call_{at}", "function": {"name": name, "arguments": arguments}}
        for at, name in enumerate(names)
    ]
    return stream(chunk({"tool_calls": made}), tail=[chunk({}, "tool_calls"), b"data: [DONE]\n\n"])


@pytest.fixture
async def fake():
    provider = await FakeProvider().start()
    yield provider
    await provider.stop()


@pytest.fixture
async def examine(fake):
    client = UpstreamClient()

    async def examine(capability, *answers, options=None):
        fake.answers("m", *answers)
        config = ProviderConfig(slug="p", name="P", base_url=fake.base_url, preset_options=options or {})
        return await examined(Asker(client, config, "m", limit=5), BY_NAME[capability])

    yield examine
    await client.close()


async def test_two_tools_in_one_answer_pass(examine):
    found = await examine("parallel_tools", calls("get_weather", "get_time"))
    assert (found.outcome, found.detail) == ("passed", "get_time, get_weather")


async def test_one_tool_at_a_time_is_partly(examine):
    assert (await examine("parallel_tools", calls("get_weather"))).code == "one_call"


async def test_an_image_in_a_tool_result_reaches_the_provider_and_is_named(fake, examine):
    found = await examine("tool_image", completion("It is red."))
    assert found.outcome == "passed"
    assert "data:image/png;base64," in json.dumps(fake.requests[-1].body)


async def test_a_refused_image_proposes_the_option_that_was_seen_to_work(fake, examine):
    refused = error(400, "image_url is not supported")
    found = await examine("tool_image", refused, refused, completion("I see no picture."))
    assert (found.outcome, found.code, dict(found.proposal)) == ("failed", "rejected", {"images": "text"})
    assert "image_url is not supported" in found.detail


async def test_without_a_remedy_that_helps_nothing_is_proposed(examine):
    found = await examine("mid_system", error(400, "no"))
    assert (found.outcome, dict(found.proposal)) == ("failed", {})


async def test_a_limit_is_not_mended_by_options(fake, examine):
    found = await examine("structured", error(429, "slow down"))
    assert (found.code, dict(found.proposal), len(fake.requests)) == ("limited", {}, 1)


async def test_a_followed_system_message_passes(examine):
    assert (await examine("mid_system", completion("Well. Pelican"))).outcome == "passed"


async def test_thinking_that_comes_back_passes(examine):
    answer = stream(chunk({"reasoning_content": "91 = 7 * 13"}), "No.")
    assert (await examine("thinking", answer, options={"reasoning": "effort"})).outcome == "passed"


async def test_no_thinking_is_partly(examine):
    assert (await examine("thinking", stream("No."))).code == "no_thinking"


async def test_a_long_name_comes_back_as_it_was(fake, examine):
    fake.answers("m", stream("no"))
    first = await examine("long_names", stream("no"))
    assert first.code == "no_call"
    sent = fake.requests[-1].body["tools"][0]["function"]["name"]
    assert len(sent) <= 64
    assert (await examine("long_names", calls(sent))).outcome == "passed"


async def test_a_large_schema_with_a_right_call_passes(examine):
    found = await examine("large_schema", calls("make_record", arguments='{"title": "Test"}'))
    assert found.outcome == "passed"


@pytest.mark.parametrize(
    ("text", "outcome", "code"),
    [
        ('{"city": "Paris", "inhabitants": 2000000}', "passed", ""),
        ("Paris, of course", "failed", "no_json"),
        ("[1]", "failed", "other_json"),
    ],
)
async def test_a_structured_answer_is_judged_by_its_schema(examine, text, outcome, code):
    found = await examine("structured", completion(text))
    assert (found.outcome, found.code) == (outcome, code)


async def test_a_left_stream_is_closed_and_the_provider_answers_again(fake, examine):
    long = stream(*(f"{number}\n" for number in range(50)), 30, "never")
    found = await examine("cancel", long, completion("OK"))
    assert found.outcome == "passed"
    await asyncio.wait_for(fake.closed_by_client.wait(), 5)


async def test_an_answer_too_short_to_leave_says_so(examine):
    assert (await examine("cancel", stream(), completion("OK"))).code == "too_short"


def test_every_remedy_is_a_profile_option():
    assert {name for check in CHECKS for remedy in check.remedies for name in remedy} <= OPTION_NAMES


def test_every_capability_is_named_once():
    assert len(set(CAPABILITIES)) == len(CHECKS) == 8


def test_the_picture_is_a_png_of_one_colour():
    picture = png(1, 2, 3, side=2)
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    start = picture.index(b"IDAT") + 4
    assert zlib.decompressobj().decompress(picture[start:]) == (b"\x00" + bytes((1, 2, 3)) * 2) * 2
    assert base64.b64encode(picture)


def test_findings_are_handed_over_outside_any_event_loop():
    found = []

    def note(finding):
        with pytest.raises(RuntimeError):
            asyncio.get_running_loop()
        found.append(finding)

    conform(ProviderConfig(slug="p", name="P", base_url="http://127.0.0.1:1/v1"), "m", note, CHECKS[-1:])
    assert [(finding.capability, finding.code) for finding in found] == [("cancel", "unreachable")]
