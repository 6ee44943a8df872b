"""A dry run of the conversion: a case in, what would be sent or answered out.

A case has the form of the test vectors in tests/vectors: `kind` (or what its keys
imply), `request`, `options`, and what the upstream answers. `run`
gives the result; `check` compares it with what the case expects. Ids are
counted, so the same case always gives the same result.

See docs/conversion.md, "Cases and vectors".
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, Final

from gateway.conversion.context import AnswerContext, AnsweredLocally, ClientFacts, Converted, NewId
from gateway.conversion.dialects import DIALECTS
from gateway.conversion.ledger import Ledger
from gateway.conversion.profile import Profile
from gateway.conversion.requests.token_count import count_tokens, estimate_input_tokens
from gateway.conversion.validation import request_checks
from gateway.errors import GatewayError
from gateway.management import expectations
from gateway.wire import jsontext
from gateway.wire.event_bytes import fields
from gateway.wire.messages import JSONObject, Sent

REQUEST_ID: Final = "req_000000000000000000000000"
_KINDS_BY_KEY: Final = {"upstream_sse": "stream", "upstream_json": "response", "upstream_status": "error"}


def run(case: JSONObject) -> JSONObject:
    """Convert one case.

    Returns `{upstream, headers, ledger}`, `{response, ledger}`, `{events, ledger}`,
    `{input_tokens}` or `{error}`. Raises ValueError for a case that is none.
    """
    runner = _RUNNERS.get(kind_of(case))
    if runner is None or not isinstance(case.get("request"), dict):
        raise ValueError("a case needs a request, and a kind of: " + ", ".join(_RUNNERS))
    profile = Profile.merged(case.get("options") or {})
    if profile.protocol not in DIALECTS:
        raise ValueError("a case needs a protocol of: " + ", ".join(DIALECTS))
    try:
        return runner(case, profile)
    except GatewayError as error:
        return _error(error)


def check(case: JSONObject) -> list[str]:
    """Run a case and say where the result is not what it expects, one line each."""
    result = run(case)
    if "expect_error" not in case and "error" in result and kind_of(case) != "error":
        return [f"unexpected error: {result['error']}"]
    found: list[str] = []
    for name, compare in _EXPECTATIONS.items():
        if name in case:
            found += compare(case[name], result)
    return found


def kind_of(case: JSONObject) -> str:
    """The kind of a case; a request, unless its keys say otherwise."""
    told = next((kind for key, kind in _KINDS_BY_KEY.items() if key in case), "request")
    return str(case.get("kind", told))


def _request(case: JSONObject, profile: Profile) -> JSONObject:
    ledger = Ledger()
    converted = _converted(case, profile, ledger)
    if isinstance(converted, AnsweredLocally):
        return {"response": converted.message, "ledger": ledger.as_json()}
    return {"upstream": converted.body, "headers": dict(converted.headers), "ledger": ledger.as_json()}


def _response(case: JSONObject, profile: Profile) -> JSONObject:
    ledger = Ledger()
    whole_answer = DIALECTS[profile.protocol].whole_answer
    message = whole_answer(case["upstream_json"], _context(case, profile), ledger).message
    return {"response": message, "ledger": ledger.as_json()}


def _stream(case: JSONObject, profile: Profile) -> JSONObject:
    ledger = Ledger()
    stream = DIALECTS[profile.protocol].stream(_context(case, profile), ledger)
    upstream = "".join(line + "\n" for line in case["upstream_sse"]).encode()
    events = [*stream.feed(upstream), *stream.finish()]
    if stream.failure is not None:
        if not stream.started:
            raise stream.failure
        events += stream.fail(stream.failure, REQUEST_ID)
    return {
        "events": [_shown(event) for event in events],
        "ledger": ledger.as_json(),
    }


def _shown(event: Sent) -> JSONObject:
    if not isinstance(event, bytes):
        return {"event": event["type"], "data": event}
    name, data = fields(event)
    return {"event": name, "data": jsontext.loads(data) if data else None}


def _upstream_error(case: JSONObject, profile: Profile) -> JSONObject:
    body = case["upstream_body"]
    raise DIALECTS[profile.protocol].upstream_error(
        case["upstream_status"],
        case.get("upstream_headers") or {},
        body.encode() if isinstance(body, str) else jsontext.dumps(body),
        model=case["request"]["model"],
        context_window=profile.context_window,
        estimated_tokens=estimate_input_tokens(case["request"], profile),
        max_tokens=case["request"].get("max_tokens") or 0,
    )


def _count(case: JSONObject, profile: Profile) -> JSONObject:
    request_checks.check(case["request"], counting=True)
    request_checks.refuse_unsupported(case["request"], counting=True)
    return dict(count_tokens(case["request"], profile))


def _converted(case: JSONObject, profile: Profile, ledger: Ledger) -> Converted | AnsweredLocally:
    headers = {name.lower(): value for name, value in (case.get("headers") or {}).items()}
    client = ClientFacts(
        session=headers.get("x-claude-code-session-id"),
        api_version=headers.get("anthropic-version"),
        headers=headers,
    )
    return DIALECTS[profile.protocol].request(case["request"], profile, client, _counted_ids(), ledger)


def _context(case: JSONObject, profile: Profile) -> AnswerContext:
    return _converted(case, profile, Ledger()).context


def _counted_ids() -> NewId:
    numbers = itertools.count(1)
    return lambda prefix: f"{prefix}{next(numbers):024d}"


def _error(error: GatewayError) -> JSONObject:
    told = error.body(REQUEST_ID)["error"]
    return {"error": {"status": error.status, **told, "headers": error.headers()}}


def _same(key: str) -> Callable[[Any, JSONObject], list[str]]:
    def compare(expected: Any, result: JSONObject) -> list[str]:
        return expectations.differences(expected, result.get(key), f"/{key}")

    return compare


def _same_events(expected: list[JSONObject], result: JSONObject) -> list[str]:
    events: list[JSONObject] = expectations.normal(event["data"] for event in result.get("events", []))
    actual = [{"event": event["type"], "data": event} for event in events]
    return expectations.differences(expected, actual, "/events")


def _absent(pointers: list[str], result: JSONObject) -> list[str]:
    return [
        f"/upstream{pointer}: present"
        for pointer in pointers
        if expectations.present(result["upstream"], pointer)
    ]


def _same_error(expected: JSONObject, result: JSONObject) -> list[str]:
    error = result.get("error")
    if error is None:
        return ["/error: there is none"]
    exact = {name: value for name, value in expected.items() if name != "message_contains"}
    found = expectations.differences(exact, error, "/error")
    wanted = expected.get("message_contains", "")
    if wanted not in error["message"]:
        found.append(f"/error/message: {error['message']!r} does not contain {wanted!r}")
    return found


def _same_status(expected: int, result: JSONObject) -> list[str]:
    return expectations.differences(expected, result.get("error", {}).get("status"), "/error/status")


def _same_headers(expected: JSONObject, result: JSONObject) -> list[str]:
    return expectations.differences(expected, result.get("error", {}).get("headers"), "/error/headers")


def _absent_headers(names: list[str], result: JSONObject) -> list[str]:
    headers = result.get("error", {}).get("headers", {})
    return [f"/error/headers/{name}: present" for name in names if name.lower() in headers]


def _in_range(expected: list[int], result: JSONObject) -> list[str]:
    low, high = expected
    counted = result["input_tokens"]
    return [] if low <= counted <= high else [f"/input_tokens: {counted} is not in {low}..{high}"]


_RUNNERS: Final[dict[str, Callable[[JSONObject, Profile], JSONObject]]] = {
    "request": _request,
    "response": _response,
    "stream": _stream,
    "error": _upstream_error,
    "count": _count,
}
_EXPECTATIONS: Final[dict[str, Callable[[Any, JSONObject], list[str]]]] = {
    "expect_upstream": _same("upstream"),
    "expect_upstream_headers": _same("headers"),
    "expect_absent": _absent,
    "expect_response": _same("response"),
    "expect_events": _same_events,
    "expect_error": _same_error,
    "expect_status": _same_status,
    "expect_headers": _same_headers,
    "expect_headers_absent": _absent_headers,
    "expect_range": _in_range,
}
