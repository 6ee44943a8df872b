"""How many tokens a request has, estimated.

The estimate runs for every request. All counts in here are packed (`token_classes`).

See docs/conversion.md, "Counting tokens".
"""

from __future__ import annotations

import math
from typing import Final

from gateway.conversion.context import ClientFacts
from gateway.conversion.ledger import Ledger
from gateway.conversion.profile import Profile
from gateway.conversion.requests.messages.incremental_conversation import NOBODY, Conversation
from gateway.conversion.requests.structured_output import asked_schema
from gateway.conversion.token_counts import TokenCounts
from gateway.conversion.tokens.messages import TextCounter, count_leaves, text_counter
from gateway.conversion.tools.chat_tools import tool_plan
from gateway.conversion.tools.exposure import exposed_tools
from gateway.conversion.tools.tool_plan import ToolWork, tool_work
from gateway.conversion.validation.request_checks import check
from gateway.errors import InvalidRequest
from gateway.wire import jsontext
from gateway.wire.messages_request import CountedTokens, MessagesRequest
from gateway.wire.request_cache import NOTHING, Recurring

# how a request is counted before its target is known: by the lexical rule, with nothing learnt of a model
PLAIN: Final = Profile(pdf="file")
_PER_REQUEST: Final = 3
_PER_SYSTEM: Final = 4
_FOR_ANY_TOOLS: Final = 40


def estimate_input_tokens(request: MessagesRequest, profile: Profile) -> int:
    """The input tokens of a request whose messages are checked, at least 1. Raises as `input_counts`."""
    return estimated(input_counts(request, profile), profile)


def estimated(counts: TokenCounts, profile: Profile) -> int:
    """Our counts adjusted by what the model's answers have taught; at least 1."""
    tokens = profile.token_factor * counts.priced(profile.token_letters, profile.token_cjk)
    return max(1, math.ceil(tokens + profile.token_overhead))


def input_counts(
    request: MessagesRequest,
    profile: Profile,
    conversation: Conversation | None = None,
    work: ToolWork | None = None,
) -> TokenCounts:
    """Our counts for a request whose messages are checked, before any learnt adjustment.

    `conversation`: its messages; `work`: the cached results for its tools; both when they are at hand. Raises
    InvalidRequest for tools which `tool_plan` would refuse for their shape.
    """
    conversation = conversation or Conversation(request, profile)
    work = work or ToolWork(profile)
    counter = text_counter(profile.vocabulary)
    tokens = (
        _PER_REQUEST
        + _system_tokens(request.get("system"), profile, counter)
        + conversation.tokens()
        + _tools_tokens(request, profile, counter, conversation, work)
    )
    asked = asked_schema(request)
    if asked is not None:
        tokens += counter.text(jsontext.dumps_text(asked[1]))
    return TokenCounts.unpacked(tokens)


def count_tokens(request: MessagesRequest, profile: Profile, client: ClientFacts = NOBODY) -> CountedTokens:
    """The answer of count_tokens to a checked request. Raises InvalidRequest."""
    tool_plan(request, profile, Ledger())  # refuses what the request itself would be refused for
    counts = input_counts(request, profile, Conversation(request, profile, client=client))
    return count_answer(request, estimated(counts, profile))


def count_answer(request: MessagesRequest, tokens: int) -> CountedTokens:
    """The answer of count_tokens for a count of `tokens`."""
    answer: CountedTokens = {"input_tokens": tokens}
    if request.get("context_management") is not None:
        answer["context_management"] = {"original_input_tokens": tokens}
    return answer


def plain_input_tokens(
    request: MessagesRequest, client: ClientFacts = NOBODY, recurring: Recurring = NOTHING
) -> int:
    """The input tokens of a request that is not checked yet, by the plain rule; never raises for its content.

    Passages that were counted before are not counted again; nor are, later, the texts that are counted here.
    Of a request that would be refused, or that only its provider understands, all texts are counted.
    """
    conversation = Conversation(request, PLAIN, recurring.passages, client)
    try:
        check(request, counting=True, checked=conversation.checked)
        conversation.passed()
        work = tool_work(request, conversation.history, PLAIN, recurring.tools)
        return max(1, input_counts(request, PLAIN, conversation, work).total)
    except InvalidRequest:
        return max(1, count_leaves([request.get(name) for name in ("system", "messages", "tools")]))


def _system_tokens(system: object, profile: Profile, counter: TextCounter) -> int:
    if not system:
        return 0
    if type(system) is str:
        return _PER_SYSTEM + counter.text(system)
    texts = [block["text"] for block in system] if type(system) is list else []
    if texts and profile.strip_attribution and texts[0].startswith("x-anthropic-billing-header:"):
        texts = texts[1:]
    return _PER_SYSTEM + sum(map(counter.text, texts))


def _tools_tokens(
    request: MessagesRequest,
    profile: Profile,
    counter: TextCounter,
    conversation: Conversation,
    work: ToolWork,
) -> int:
    if not request.get("tools"):
        return 0
    if work.tokens is None:
        exposed = exposed_tools(request, conversation.history, profile, Ledger())
        tokens = sum(map(counter.tool, exposed))
        work.tokens = tokens + _FOR_ANY_TOOLS if tokens else 0
    return work.tokens
