"""What the problems of a tested provider mean, in sentences that say what to do; for pages and commands."""

from __future__ import annotations

from typing import Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

LEVELS: Final[dict[str, Any]] = {
    "reachable": gettext_lazy("Reachable"),
    "key": gettext_lazy("Key accepted"),
    "answer": gettext_lazy("Short answer"),
    "tool_call": gettext_lazy("Streamed tool call"),
}
OUTCOMES: Final[dict[str, Any]] = {
    "passed": gettext_lazy("passed"),
    "failed": gettext_lazy("failed"),
    "unclear": gettext_lazy("unclear"),
    "skipped": gettext_lazy("left out"),
}
CAPABILITIES: Final[dict[str, Any]] = {
    "parallel_tools": gettext_lazy("Parallel tool calls"),
    "tool_image": gettext_lazy("Image in a tool result"),
    "mid_system": gettext_lazy("System message inside the conversation"),
    "thinking": gettext_lazy("Thinking"),
    "long_names": gettext_lazy("Long tool names"),
    "large_schema": gettext_lazy("Large tool schema"),
    "structured": gettext_lazy("Structured output"),
    "cancel": gettext_lazy("Leaving a stream"),
}
CAPABILITY_OUTCOMES: Final[dict[str, Any]] = {
    "passed": gettext_lazy("yes"),
    "partly": gettext_lazy("partly"),
    "failed": gettext_lazy("no"),
}
_SENTENCES: Final[dict[str, Any]] = {
    "demo": gettext_lazy("The built-in demo answers inside this process."),
    "unreachable": gettext_lazy(
        "Nothing answers there. Check host and port of the base URL, and whether this machine may reach it."
    ),
    "refused_address": gettext_lazy(
        "The address is link-local or a metadata service, and is not asked. ALLOW_LINK_LOCAL=true in the "
        "environment allows it."
    ),
    "bad_url": gettext_lazy("The base URL cannot be used. It looks like https://api.example.com/v1."),
    "tls": gettext_lazy(
        "The TLS certificate is not trusted here. Check the host name, or add the server's authority to this "
        "machine."
    ),
    "timed_out": gettext_lazy(
        "It did not answer in time. A local model may still be loading: try again in a minute; else check "
        "host and port."
    ),
    "refused": gettext_lazy(
        "The provider refused the credential. Enter the key again, and check that it is one of this provider "
        "and that authentication is what the provider wants."
    ),
    "listed": gettext_lazy("The list of models was given out."),
    "answered": gettext_lazy("The credential was good for an answer."),
    "no_list": gettext_lazy("There is no list of models at this address; the short answer tells more."),
    "no_model": gettext_lazy(
        "No model is known to ask. Enter the name of one, or make a mapping to this provider first."
    ),
    "unknown_model": gettext_lazy("The provider does not know this model. Load its models and choose one."),
    "not_found": gettext_lazy(
        "There is nothing at this address. The base URL usually ends in /v1, without /chat/completions."
    ),
    "no_money": gettext_lazy("The account has no credit left. Add some at the provider, or use another key."),
    "limited": gettext_lazy("The provider's limit is reached for now. The key works; try again later."),
    "rejected": gettext_lazy(
        "The provider did not take the request. What it says tells which profile option to change; a "
        "conformance run finds it."
    ),
    "server_error": gettext_lazy("The provider has a failure of its own. Try again, or look at its log."),
    "broken": gettext_lazy(
        "The answer is not what the protocol says. Check that the preset fits this server and its base URL."
    ),
    "empty": gettext_lazy("There was no text. The model may need more output tokens, or another preset."),
    "no_call": gettext_lazy(
        "The model answered without calling the tool. Claude Code needs tool calls: choose a model that can."
    ),
    "bad_arguments": gettext_lazy(
        "The arguments of the tool call are not what its schema says. Choose a more able model."
    ),
    "one_call": gettext_lazy("The provider took it, but the model called one tool at a time."),
    "not_seen": gettext_lazy("The provider took the image, but the model did not name what is in it."),
    "not_followed": gettext_lazy("The provider took it, but the model did not follow it."),
    "no_thinking": gettext_lazy("The provider took it, but no thinking came back."),
    "other_name": gettext_lazy("The tool was called by another name."),
    "no_json": gettext_lazy("The answer was not JSON."),
    "other_json": gettext_lazy("The answer was JSON, but not what the schema says."),
    "too_short": gettext_lazy("The answer ended before it could be left."),
    "not_offered": gettext_lazy("The profile says that this provider cannot do it."),
}


def sentence(code: str) -> str:
    """The sentence for a code of upstream/trial/probe.py; "" for none."""
    return str(_SENTENCES[code]) if code in _SENTENCES else ""


def skipped() -> str:
    return _("It needs the level before it.")
