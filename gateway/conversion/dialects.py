"""The protocols that providers speak, one entry each.

A dialect is what the relay asks of a protocol: the request, the whole answer, the stream, and the meaning
of an error. A new protocol is a new entry; the relay names none. Its path below a provider's base URL is
in upstream/request_builder.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from gateway.conversion.answers.chat_message import WholeAnswer, whole_answer
from gateway.conversion.answers.chat_stream import MessageStream
from gateway.conversion.answers.usage import Usage
from gateway.conversion.anthropic.answer import passed_message
from gateway.conversion.anthropic.errors import RETURNED_HEADERS, passed_error
from gateway.conversion.anthropic.request import VERSION, passed_request
from gateway.conversion.anthropic.stream import PassedStream
from gateway.conversion.context import AnswerContext, AnsweredLocally, ClientFacts, Converted, NewId
from gateway.conversion.errors.upstream import upstream_error
from gateway.conversion.ledger import Ledger
from gateway.conversion.openai_responses.answer import whole_response
from gateway.conversion.openai_responses.request import responses_request
from gateway.conversion.openai_responses.stream import ResponsesStream
from gateway.conversion.profile import Profile
from gateway.conversion.requests.chat import chat_request
from gateway.errors import GatewayError, UpstreamError
from gateway.wire.messages import JSONObject, Sent
from gateway.wire.messages_request import MessagesRequest
from gateway.wire.request_cache import Recurring


class AnswerStream(Protocol):
    """A streamed answer on its way to the client; MessageStream explains every member."""

    @property
    def started(self) -> bool: ...

    @property
    def done(self) -> bool: ...

    @property
    def failure(self) -> GatewayError | None: ...

    @property
    def awaiting_trailer(self) -> bool: ...

    @property
    def closing(self) -> bool: ...

    @property
    def stop_reason(self) -> str | None: ...

    @property
    def usage(self) -> Usage: ...

    @property
    def usage_estimated(self) -> bool: ...

    @property
    def tool_names(self) -> list[str]: ...

    @property
    def characters(self) -> int: ...

    def start(self) -> Sequence[Sent]: ...

    def keepalive(self) -> Sequence[Sent]: ...

    def feed(self, data: bytes) -> Sequence[Sent]: ...

    def finish(self) -> Sequence[Sent]: ...

    def fail(self, error: GatewayError, request_id: str) -> Sequence[Sent]: ...


class MakesRequests(Protocol):
    """request.chat_request, which explains the arguments, or that of another protocol."""

    def __call__(
        self,
        request: MessagesRequest,
        profile: Profile,
        client: ClientFacts,
        new_id: NewId,
        ledger: Ledger,
        recurring: Recurring = ...,
    ) -> Converted | AnsweredLocally: ...


class ReadsErrors(Protocol):
    """upstream_errors.upstream_error, or another reading of a provider's error."""

    def __call__(
        self,
        status: int,
        headers: Mapping[str, str],
        body: bytes,
        *,
        model: str,
        context_window: int | None,
        estimated_tokens: int,
        max_tokens: int = ...,
        ratelimit_prefix: str = ...,
        whole: bool = ...,
        now: float | None = ...,
    ) -> UpstreamError: ...


@dataclass(frozen=True, slots=True)
class Dialect:
    """One protocol.

    `request`: a Messages request as the provider's; raises InvalidRequest. `whole_answer`:
    the provider's answer as a message; raises UpstreamError. `stream`: a streamed answer.
    `upstream_error`: the error that an answer with an error status stands for.
    `returned_headers`: which headers of an answer go back to the client, by how they begin.
    `headers`: what a call of the protocol needs that is no messages request (a list of models).
    """

    request: MakesRequests
    whole_answer: Callable[[JSONObject, AnswerContext, Ledger], WholeAnswer]
    stream: Callable[[AnswerContext, Ledger], AnswerStream]
    upstream_error: ReadsErrors
    returned_headers: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)


DIALECTS: Final[Mapping[str, Dialect]] = {
    "chat": Dialect(chat_request, whole_answer, MessageStream, upstream_error),
    "responses": Dialect(responses_request, whole_response, ResponsesStream, upstream_error),
    "anthropic": Dialect(
        passed_request,
        passed_message,
        PassedStream,
        passed_error,
        RETURNED_HEADERS,
        headers={"anthropic-version": VERSION},
    ),
}
