"""Texts made against every regular expression of the source, in every place that a stranger's text comes to.

tests/patterns/test_time.py times each expression alone; here a gateway reads such texts from clients and
from a provider, and answers others meanwhile.
"""

import json

import pytest

from gateway.history.secrets.patterns import BUILT_IN
from gateway.patterns.attacks import recipes_against
from tests.attacks.toll import watched
from tests.attacks.wire import answer, connected, head, post, status
from tests.fakes.provider import completion, error, stream
from tests.patterns.test_time import every_pattern
from tests.server.conftest import KEY

pytestmark = [pytest.mark.server, pytest.mark.once]

# CPU seconds of the gateway, in all its threads, while one GET /health waits
HELD = 0.9
# characters of one attack on an expression that searches stored texts, and of one on any other
LONG, SHORT = 4_000, 1_000
# what of each expression's attacks there is room for
FEW = 2
# characters in one request
ROOM = 1_000_000


def attacks():
    """Texts; those against what finds secrets are long, because every stored text is searched for them."""
    for look in BUILT_IN:
        for recipe in recipes_against(look.regex):
            yield recipe.text(LONG)
    for pattern, _only_at_a_place in every_pattern():
        recipes = recipes_against(pattern)
        for recipe in recipes[:: len(recipes) // FEW + 1]:
            yield recipe.text(SHORT)


def in_rooms(texts):
    """The texts in lists of about ROOM characters."""
    room, size = [], 0
    for text in texts:
        room.append(text)
        size += len(text)
        if size > ROOM:
            yield room
            room, size = [], 0
    yield room


def as_a_message(texts):
    return {"messages": [{"role": "user", "content": [{"type": "text", "text": text} for text in texts]}]}


def as_results_of_tools(texts):
    calls = [
        {"type": "tool_use", "id": f"t{number}", "name": "Read", "input": {"of": text[:200]}}
        for number, text in enumerate(texts)
    ]
    results = [
        {"type": "tool_result", "tool_use_id": f"t{number}", "content": text, "is_error": number % 2 == 0}
        for number, text in enumerate(texts)
    ]
    return {"messages": [
        {"role": "user", "content": "x"}, {"role": "assistant", "content": calls},
        {"role": "user", "content": results},
    ]}  # fmt: skip


def as_the_system_and_what_was_said(texts):
    half = len(texts) // 2
    said = [{"type": "text", "text": text} for text in texts[half:]]
    return {
        "system": [{"type": "text", "text": text} for text in texts[:half]],
        "messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": said},
                     {"role": "user", "content": "x"}],
    }  # fmt: skip


def asked(attacked, request):
    with connected(attacked, timeout=100) as connection:
        body = json.dumps({"model": "m", "max_tokens": 9, **request}).encode()
        connection.sendall(post(body, "connection: close"))
        return answer(connection)


@pytest.mark.parametrize("place", [as_a_message, as_results_of_tools, as_the_system_and_what_was_said])
def test_what_a_client_writes_against_an_expression_holds_nobody_up(attacked, provider, place):
    provider.answers("m", completion())
    for room in in_rooms(attacks()):
        with watched(attacked) as toll:
            assert status(asked(attacked, place(room))) == 200
        assert toll.held < HELD


@pytest.mark.parametrize("how", ["whole", "stream", "error", "error in the stream"])
def test_what_a_provider_writes_against_an_expression_holds_nobody_up(attacked, provider, how):
    for room in in_rooms(attacks()):
        text = "\n".join(room)
        pieces = [text[at : at + 5_000] for at in range(0, len(text), 5_000)]
        broken = b"data: " + json.dumps({"error": {"message": text}}).encode() + b"\n\n"
        told = {
            "whole": completion(text),
            "stream": stream(*pieces),
            "error": error(400, text),
            "error in the stream": stream("x", broken),
        }[how]
        provider.answers("m", told)
        with watched(attacked) as toll:
            found = asked(attacked, {**as_a_message(["x"]), "stream": "stream" in how})
        assert status(found) in ((400, 413) if how == "error" else (200,))
        assert toll.held < HELD


def test_what_a_client_writes_into_the_head_holds_nobody_up(attacked):
    names = ["user-agent", "anthropic-beta", "anthropic-version", "x-app", "content-type", "traceparent"]
    with watched(attacked) as toll:
        for number, text in enumerate(attacks()):
            written = "".join(one for one in text[:2_000] if one.isprintable() and one.isascii()).strip()
            if number % 7 or not written:
                continue
            with connected(attacked) as connection:
                name = names[number % len(names)]
                connection.sendall(head("GET /v1/models HTTP/1.1", f"x-api-key: {KEY}", f"{name}: {written}",
                                        "connection: close"))  # fmt: skip
                assert status(answer(connection)) in (200, 400, 415)
    assert toll.held < HELD
