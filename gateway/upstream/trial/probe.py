"""Whether a provider works, on four levels, each with its time and what is wrong (no Django).

    REACHABLE   something answers HTTP at the base URL
    KEY         it accepts the credential
    ANSWER      a model gives a short answer
    TOOL_CALL   the model calls a tool in a stream, with complete arguments

A failed level skips those that need it. Problems are codes here; pages and the command turn
them into sentences with the next step.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from gateway.conversion.dialects import DIALECTS
from gateway.errors import GatewayError, InvalidRequest, UpstreamTimedOut, UpstreamUnreachable
from gateway.routing.snapshot import Credential, ProviderConfig
from gateway.upstream.client import UpstreamClient
from gateway.upstream.demo import MODEL as DEMO_MODEL
from gateway.upstream.demo import demo_answer
from gateway.upstream.request_builder import UpstreamCall, credential_headers, endpoint_url
from gateway.upstream.trial.models_list import OfferedModel, offered_models, with_sizes
from gateway.upstream.trial.trial_client import MOST_BYTES, Asker, ProviderFailed, Said, first_line, told_by

REACHABLE: Final = "reachable"
KEY: Final = "key"
ANSWER: Final = "answer"
TOOL_CALL: Final = "tool_call"
LEVELS: Final = (REACHABLE, KEY, ANSWER, TOOL_CALL)

Outcome = Literal["passed", "failed", "unclear", "skipped"]
LIMIT: Final = 60.0
_SHORT: Final = {"max_tokens": 512, "messages": [{"role": "user", "content": "Answer with the one word: OK"}]}
TOOL: Final = {
    "name": "get_weather",
    "description": "The weather in a city.",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string", "description": "Name of the city"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}
_TOOL_ASKED: Final = {
    "max_tokens": 1024,
    "tools": [TOOL],
    "tool_choice": {"type": "any"},
    "messages": [{"role": "user", "content": "What is the weather in Paris? Please use the tool."}],
}


@dataclass(frozen=True, slots=True)
class Level:
    """One level: `code` names what is wrong (or unclear), `detail` is the provider's own first line.

    `milliseconds` to the end of the level, None when nothing was sent.
    """

    name: str
    outcome: Outcome
    code: str = ""
    detail: str = ""
    milliseconds: int | None = None
    status: int | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """The result of GET /models: the models, or the level that failed."""

    levels: tuple[Level, ...]
    models: tuple[OfferedModel, ...] = ()


@dataclass
class Probe:
    """Tries one provider. `models_path`: below its base URL, "" when it has no such list.

    `sizes_path`: a path of the server itself that reports the windows in force; "" when there is none.
    `limit`: seconds for one level.
    """

    client: UpstreamClient
    provider: ProviderConfig
    models_path: str = "/models"
    limit: float = LIMIT
    clock: Callable[[], float] = time.monotonic
    sizes_path: str = ""
    _levels: list[Level] = field(default_factory=list)

    async def run(self, model: str = "") -> tuple[Level, ...]:
        """Run all four levels. `model`: the upstream model to ask; "" takes the first that the provider
        lists.
        """
        listing = await self.listing()
        self._levels = list(listing.levels)
        if self._failed(REACHABLE) or self._failed(KEY):
            return self._with_skipped()
        model = model or (listing.models[0].id if listing.models else "")
        if self.provider.demo:
            model = model or DEMO_MODEL
        if not model:
            self._levels.append(Level(ANSWER, "skipped", "no_model"))
            return self._with_skipped()
        asker = Asker(self.client, self.provider, model, limit=self.limit, clock=self.clock)
        await self._ask(ANSWER, asker.whole(_SHORT), _answer_problem)
        self._settle_key()
        if self.provider.demo:
            # the demo is no model, and its answer says so
            self._levels.append(Level(TOOL_CALL, "skipped", "demo"))
        elif not self._failed(ANSWER):
            await self._ask(TOOL_CALL, asker.streamed(_TOOL_ASKED), _call_problem)
        return self._with_skipped()

    async def listing(self) -> Listing:
        """The first two levels, by asking for the list of models, and the sizes that come with it."""
        if self.provider.demo:
            return Listing((Level(REACHABLE, "passed", "demo"), Level(KEY, "passed", "demo")))
        started = self.clock()
        try:
            async with asyncio.timeout(self.limit):
                answer = await self.client.get(self._call(_root(self.provider.base_url), self.models_path))
                reached = self._since(started)
                try:
                    body = await answer.body(MOST_BYTES)
                finally:
                    await answer.close()
        except TimeoutError:
            failure = ProviderFailed(UpstreamTimedOut("timed out"))
            return Listing((self._failure(REACHABLE, failure, started),))
        except GatewayError as error:
            return Listing((self._failure(REACHABLE, ProviderFailed(error), started),))
        reachable = Level(REACHABLE, "passed", milliseconds=reached, status=answer.status)
        key, models = self._judged(answer.status, body, self._since(started))
        if models and self.sizes_path:
            models = tuple(with_sizes(models, await self._sizes()))
        return Listing((reachable, key), models)

    async def _sizes(self) -> bytes:
        """What the server reports about itself; empty when it reports nothing."""
        server = _root(self.provider.base_url).rstrip("/").removesuffix("/v1")
        try:
            async with asyncio.timeout(self.limit):
                answer = await self.client.get(self._call(server, self.sizes_path))
                try:
                    body = await answer.body(MOST_BYTES)
                finally:
                    await answer.close()
        except (TimeoutError, GatewayError):
            return b""
        return body if answer.status == 200 else b""

    def _call(self, base_url: str, path: str) -> UpstreamCall:
        provider = self.provider
        credential = provider.credentials[0].value if provider.credentials else None
        return UpstreamCall(
            url=endpoint_url(base_url, path, provider.query),
            content=b"",
            headers={
                "accept": "application/json",
                "user-agent": "ccproxy",
                **DIALECTS[provider.protocol].headers,
                **credential_headers(provider.auth, credential),
                **provider.headers,
            },
            connect_timeout=provider.connect_timeout,
            network=provider.network,
        )

    def _judged(self, status: int, body: bytes, milliseconds: int) -> tuple[Level, tuple[OfferedModel, ...]]:
        def level(outcome: Outcome, code: str = "", detail: str = "") -> Level:
            return Level(KEY, outcome, code, detail, milliseconds, status)

        if status in (401, 403):
            return level("failed", "refused", told_by(body)), ()
        if 200 <= status < 300 and self.models_path:
            try:
                models = tuple(offered_models(body))
            except ValueError:
                return level("unclear", "no_list"), ()
            # many providers show their list to anybody; the answer says more
            return level("passed" if self.provider.credentials else "unclear", "listed"), models
        return level("unclear", "no_list", told_by(body) if status >= 400 else ""), ()

    def _settle_key(self) -> None:
        """The verdict on the credential, where the short answer tells more than the list."""
        answer = next(level for level in self._levels if level.name == ANSWER)
        at = next(at for at, level in enumerate(self._levels) if level.name == KEY)
        key = self._levels[at]
        if answer.outcome == "passed":
            self._levels[at] = Level(KEY, "passed", "answered", "", key.milliseconds, key.status)
        elif answer.code == "refused":
            self._levels[at] = Level(
                KEY, "failed", "refused", answer.detail, answer.milliseconds, answer.status
            )

    async def _ask(self, name: str, asking: Any, problem_of: Callable[[Said], str]) -> None:
        started = self.clock()
        try:
            said: Said = await asking
        except ProviderFailed as failure:
            self._levels.append(self._failure(name, failure, started))
            return
        except InvalidRequest as error:
            self._levels.append(self._failure(name, ProviderFailed(error, 400), started))
            return
        code = problem_of(said)
        detail = first_line(said.text) if name == ANSWER else ""
        outcome: Outcome = "failed" if code else "passed"
        self._levels.append(Level(name, outcome, code, detail, said.milliseconds))

    def _failure(self, name: str, failure: ProviderFailed, started: float) -> Level:
        return Level(
            name, "failed", failure_code(failure), failure.detail, self._since(started), failure.status
        )

    def _failed(self, name: str) -> bool:
        return any(level.name == name and level.outcome == "failed" for level in self._levels)

    def _with_skipped(self) -> tuple[Level, ...]:
        seen = {level.name for level in self._levels}
        return (*self._levels, *(Level(name, "skipped") for name in LEVELS if name not in seen))

    def _since(self, started: float) -> int:
        return round((self.clock() - started) * 1000)


def probed(provider: ProviderConfig, models_path: str, model: str = "") -> tuple[Level, ...]:
    """`Probe.run` from a thread without an event loop, with connections of its own."""

    async def run() -> tuple[Level, ...]:
        client = UpstreamClient(demo=demo_answer, link_local=provider.link_local)
        try:
            return await Probe(client, provider, models_path).run(model)
        finally:
            await client.close()

    return asyncio.run(run())


def listed(provider: ProviderConfig, models_path: str, sizes_path: str = "") -> Listing:
    """`Probe.listing` likewise."""

    async def run() -> Listing:
        client = UpstreamClient(demo=demo_answer, link_local=provider.link_local)
        try:
            return await Probe(client, provider, models_path, sizes_path=sizes_path).listing()
        finally:
            await client.close()

    return asyncio.run(run())


def accepted(levels: Iterable[Level]) -> bool:
    """Whether the credential is known to be good: a model answered. Lists are often shown to anybody."""
    return any(level.name == ANSWER and level.outcome == "passed" for level in levels)


def tried_again(
    provider: ProviderConfig, levels: Iterable[Level], ask: Callable[[ProviderConfig], Iterable[Level]]
) -> list[tuple[Credential, bool]]:
    """Each credential of `provider` that is set aside, and whether it is accepted again.

    `levels`: the result of trying `provider`, which used its first credential. The others are tried
    with `ask`, one by one.
    """
    return [
        (
            credential,
            accepted(levels if number == 0 else ask(replace(provider, credentials=(credential,)))),
        )
        for number, credential in enumerate(provider.credentials)
        if credential.set_aside is not None
    ]


def failure_code(failure: ProviderFailed) -> str:
    """The name of what went wrong; a page turns it into a sentence with the next step."""
    error, status = failure.error, failure.status
    if isinstance(error, UpstreamTimedOut):
        return "timed_out"
    if isinstance(error, UpstreamUnreachable):
        if "link-local" in error.message:
            return "refused_address"
        return "tls" if "TLS" in error.message else "bad_url" if "URL" in error.message else "unreachable"
    if error.status == 402:
        return "no_money"
    if status in (401, 403):
        return "refused"
    if status == 404:
        return "unknown_model" if "model" in failure.detail.lower() else "not_found"
    if status == 429:
        return "limited"
    if status is not None and 400 <= status < 500:
        return "rejected"
    if status is not None and status >= 500:
        return "server_error"
    return "broken"


def _answer_problem(said: Said) -> str:
    if said.text.strip() or said.blocks("thinking"):
        return ""
    return "empty"


def _call_problem(said: Said) -> str:
    calls = said.blocks("tool_use")
    if not calls:
        return "no_call"
    given = calls[0].get("input")
    return "" if isinstance(given, dict) and isinstance(given.get("city"), str) else "bad_arguments"


def _root(base_url: str) -> str:
    """The part of the base URL that the list of models is below: without a pasted chat endpoint."""
    for path in ("/chat/completions", "/responses", "/v1/messages"):
        base_url = base_url.removesuffix(path)
    return base_url
