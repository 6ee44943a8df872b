"""A Messages request put to one provider, outside any exchange: how admins try a provider out.

It takes the way of a real request (route, profile, conversion, transport, conversion
back) without history, retries or a client.
"""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from gateway.conversion.context import AnsweredLocally, ClientFacts, Converted
from gateway.conversion.dialects import DIALECTS
from gateway.conversion.ledger import Ledger
from gateway.errors import GatewayError, UpstreamTimedOut
from gateway.masking.redaction import masked
from gateway.routing.resolve import Route, resolve
from gateway.routing.snapshot import ConfigSnapshot, MappingRule, ProviderConfig, Target
from gateway.upstream.client import UpstreamAnswer, UpstreamClient
from gateway.upstream.request_builder import upstream_call
from gateway.wire import jsontext, sse
from gateway.wire.message_reader import read_answer
from gateway.wire.messages import JSONObject, Sent
from gateway.wire.messages_request import MessagesRequest

# The name under which the model that is tried is asked for.
ASKED: Final = "claude-probe"
MOST_BYTES: Final = 4 * 1024 * 1024
LONGEST_DETAIL: Final = 300


class ProviderFailed(Exception):
    """The provider did not answer as it should. `detail`: the first line of what it said, without secrets.

    `status`: the HTTP status of its answer, None when there was none. `error`: what a client would get.
    """

    def __init__(self, error: GatewayError, status: int | None = None, detail: str = "") -> None:
        super().__init__(detail or error.message)
        self.error = error
        self.status = status
        self.detail = detail or first_line(error.message)


@dataclass(frozen=True, slots=True)
class Said:
    """An answer: the message as a client gets it, and times in milliseconds.

    `events`: how many events came before the last network read (1: it came in one piece).
    `cut`: reading stopped early because that was asked for.
    """

    message: Mapping[str, Any]
    milliseconds: int
    first_byte: int
    reads: int = 1
    cut: bool = False

    @property
    def text(self) -> str:
        return "".join(block.get("text", "") for block in self.blocks("text"))

    def blocks(self, kind: str) -> list[JSONObject]:
        """The content blocks of one type."""
        return [block for block in self.message.get("content", []) if block.get("type") == kind]


@dataclass
class Asker:
    """Asks one model of one provider. `options` override the provider's own profile options.

    `limit`: seconds for one answer. The clock is in seconds.
    """

    client: UpstreamClient
    provider: ProviderConfig
    model: str
    options: Mapping[str, Any] = field(default_factory=dict)
    limit: float = 60.0
    clock: Callable[[], float] = time.monotonic

    async def whole(self, request: Mapping[str, object]) -> Said:
        """The answer to a request that is not streamed. Raises Failed; InvalidRequest from the conversion."""
        return await self._within(self._whole({**request, "stream": False}))

    async def streamed(self, request: Mapping[str, object], stop_after: int | None = None) -> Said:
        """The answer to a streamed request, abandoned after `stop_after` events. Raises as `whole`."""
        return await self._within(self._streamed({**request, "stream": True}, stop_after))

    async def _within(self, asking: Any) -> Said:
        try:
            async with asyncio.timeout(self.limit):
                said: Said = await asking
                return said
        except TimeoutError:
            raise ProviderFailed(
                UpstreamTimedOut(f"no complete answer within {self.limit:g} seconds")
            ) from None

    async def _whole(self, request: Mapping[str, object]) -> Said:
        route, converted = self._converted(request)
        started = self.clock()
        answer = await self._opened(route, converted)
        first = self.clock()
        try:
            body = await answer.body(MOST_BYTES)
            message = self._message(route, converted, body, answer.status)
        except GatewayError as error:
            raise ProviderFailed(error, answer.status) from error
        finally:
            await answer.close()
        return Said(message, _milliseconds(started, self.clock()), _milliseconds(started, first))

    async def _streamed(self, request: Mapping[str, object], stop_after: int | None) -> Said:
        route, converted = self._converted(request)
        started = self.clock()
        answer = await self._opened(route, converted)
        first = self.clock()
        stream = DIALECTS[route.profile.protocol].stream(converted.context, Ledger())
        events: list[Sent] = []
        reads = 0
        try:
            if answer.content_type == "application/json":
                message = self._message(route, converted, await answer.body(MOST_BYTES), answer.status)
                return Said(message, _milliseconds(started, self.clock()), _milliseconds(started, first))
            async for piece in answer.pieces():
                fed = stream.feed(piece)
                reads += bool(fed)
                events += fed
                if stop_after is not None and len(events) >= stop_after:
                    break
            else:
                events += stream.finish()
            if stream.failure is not None:
                raise stream.failure
        except GatewayError as error:
            raise ProviderFailed(error, answer.status) from error
        finally:
            await answer.close()
        cut = stop_after is not None and not stream.done
        read = read_answer(sse.encode_all(events)).message or {"content": []}
        return Said(read, _milliseconds(started, self.clock()), _milliseconds(started, first), reads, cut)

    def _converted(self, request: Mapping[str, object]) -> tuple[Route, Converted]:
        route = resolve(self._snapshot(), ASKED).route
        ids = itertools.count(1)
        converted = DIALECTS[route.profile.protocol].request(
            cast(MessagesRequest, {"max_tokens": 1024, **request, "model": ASKED}),
            route.profile,
            ClientFacts(),
            lambda prefix: f"{prefix}{next(ids):024d}",
            Ledger(),
        )
        if isinstance(converted, AnsweredLocally):
            raise ProviderFailed(GatewayError("the gateway answers this itself"))
        return route, converted

    def _snapshot(self) -> ConfigSnapshot:
        """A configuration with a single rule, so that the profile is merged as for a real request."""
        provider = dataclasses.replace(self.provider, enabled=True)
        rule = MappingRule(
            0, "*", exact=False, targets=(Target(provider.slug, self.model),), options=self.options
        )
        return ConfigSnapshot(0, {provider.slug: provider}, (rule,))

    async def _opened(self, route: Route, converted: Converted) -> UpstreamAnswer:
        provider = route.provider
        credential = provider.credentials[0].value if provider.credentials else None
        call = upstream_call(provider, route.profile.protocol, converted.body, converted.headers, credential)
        try:
            answer = await self.client.open(call)
        except GatewayError as error:
            raise ProviderFailed(error) from error
        if 200 <= answer.status < 300:
            return answer
        try:
            body = await answer.body(MOST_BYTES)
        except GatewayError:
            body = b""
        finally:
            await answer.close()
        rejection = DIALECTS[route.profile.protocol].upstream_error(
            answer.status,
            answer.headers,
            body,
            model=self.model,
            context_window=route.profile.context_window,
            estimated_tokens=converted.context.estimated_input_tokens,
            max_tokens=converted.context.max_tokens,
        )
        raise ProviderFailed(rejection, answer.status, told_by(body))

    def _message(self, route: Route, converted: Converted, body: bytes, status: int) -> Mapping[str, Any]:
        dialect = DIALECTS[route.profile.protocol]
        try:
            parsed = jsontext.loads(body)
        except jsontext.InvalidJSON:
            parsed = None
        if not isinstance(parsed, dict):
            raise ProviderFailed(GatewayError("the answer is not JSON"), status, told_by(body))
        return dialect.whole_answer(parsed, converted.context, Ledger()).message


def told_by(body: bytes) -> str:
    """The first line of what an error body says: its message when it is JSON, else its text; "" for none."""
    try:
        parsed: Any = jsontext.loads(body)
    except jsontext.InvalidJSON:
        return first_line(body[:4000].decode("utf-8", "replace"))
    found = parsed[0] if isinstance(parsed, list) and parsed else parsed
    for name in ("error", "message", "detail"):
        if isinstance(found, dict) and found.get(name):
            found = found[name]
    if isinstance(found, dict):
        found = found.get("message") or jsontext.dumps_text(found)
    return first_line(found if isinstance(found, str) else jsontext.dumps_text(found))


def first_line(text: str) -> str:
    """The first line with words in it, shortened, without secrets."""
    line = next((line.strip() for line in masked(text[:4000]).splitlines() if line.strip()), "")
    return line if len(line) <= LONGEST_DETAIL else line[: LONGEST_DETAIL - 1] + "…"


def _milliseconds(start: float, end: float) -> int:
    return round((end - start) * 1000)
