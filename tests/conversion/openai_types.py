"""The openai package's own types as a judge of chat and Responses requests."""

from collections.abc import Mapping

from openai.types.chat.completion_create_params import CompletionCreateParams
from openai.types.responses.response_create_params import ResponseCreateParams
from pydantic import TypeAdapter

_adapter = TypeAdapter(CompletionCreateParams)


def accept(body):
    """Raises pydantic.ValidationError unless `body` fits the types, to the bottom."""
    exhaust(_adapter.validate_python(body))


def exhaust(value):
    """Pydantic checks an Iterable only while it is read."""
    if isinstance(value, Mapping):
        for item in value.values():
            exhaust(item)
    elif not isinstance(value, str | bytes | int | float | None):
        for item in value:
            exhaust(item)


_responses_adapter = TypeAdapter(ResponseCreateParams)


def accept_response(body):
    """The same for a request of the Responses API."""
    exhaust(_responses_adapter.validate_python(body))
