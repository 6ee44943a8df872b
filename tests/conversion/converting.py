"""Shorthand for tests of the request half: build a request, convert it, look at the result."""

import copy
import itertools
from types import SimpleNamespace

import pytest

from gateway.conversion.context import ClientFacts
from gateway.conversion.dialects import DIALECTS
from gateway.conversion.ledger import Ledger
from gateway.conversion.profile import Profile
from gateway.errors import InvalidRequest

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
IMAGE_PART = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}


def new_ids():
    numbers = itertools.count(1)
    return lambda prefix: f"{prefix}{next(numbers):024d}"


def request_of(*messages, **fields):
    """A Messages request; a plain string stands for a user message."""
    listed = [message if isinstance(message, dict) else user(message) for message in messages]
    return {"model": "claude-test", "max_tokens": 1024, "messages": listed or [user("hi")], **fields}


def user(*content):
    return {"role": "user", "content": _content(content)}


def assistant(*content):
    return {"role": "assistant", "content": _content(content)}


def system(*content, **fields):
    return {"role": "system", "content": _content(content), **fields}


def text(value, **fields):
    return {"type": "text", "text": value, **fields}


def thinking(value, signature=""):
    return {"type": "thinking", "thinking": value, "signature": signature}


def call(call_id="t1", name="get_time", **given):
    return {"type": "tool_use", "id": call_id, "name": name, "input": given}


def result(call_id="t1", content=None, **fields):
    block = {"type": "tool_result", "tool_use_id": call_id, **fields}
    return block if content is None else {**block, "content": content}


def convert(request, options=None, client=None):
    """Converts; returns what came of it: body, context, headers, the local message, the ledger."""
    ledger, before = Ledger(), copy.deepcopy(request)
    profile = Profile.merged(options or {})
    converted = DIALECTS[profile.protocol].request(
        request, profile, client or ClientFacts(), new_ids(), ledger
    )
    assert request == before, "the request was changed"
    body = getattr(converted, "body", None)
    return SimpleNamespace(
        body=body,
        messages=body and body.get("messages", body.get("input")),
        context=converted.context,
        headers=dict(getattr(converted, "headers", {})),
        message=getattr(converted, "message", None),
        entries=[tuple(entry) for entry in ledger.entries],
        codes=[entry.code for entry in ledger.entries],
    )


def messages_of(*messages, options=None):
    """The chat messages for a conversation."""
    return convert(request_of(*messages), options).messages


def refusal_of(request, options=None, client=None):
    """The message of the 400 that a request gets."""
    with pytest.raises(InvalidRequest) as caught:
        convert(request, options, client)
    assert (caught.value.status, caught.value.error_type) == (400, "invalid_request_error")
    return caught.value.message


def _content(content):
    if len(content) == 1 and isinstance(content[0], str):
        return content[0]
    return [text(block) if isinstance(block, str) else block for block in content]
