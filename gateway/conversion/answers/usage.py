"""Token counts, from chat's words to Anthropic's.

Chat's prompt_tokens includes what came from a cache; Anthropic's three input
numbers are disjoint. Providers put cached tokens in different places, so the
first positive place counts.

See docs/conversion.md, "Usage".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gateway.conversion import repairs
from gateway.conversion.answers.output import Output
from gateway.conversion.context import AnswerContext
from gateway.conversion.ledger import Ledger
from gateway.conversion.tokens.messages import estimate_tokens
from gateway.values import frozen
from gateway.wire.messages import CacheCreation, JSONObject, MessageUsage, ServerToolCounts

# no count means more, and a column of the history holds no more
MOST_TOKENS: Final = 2**31 - 1

_CACHE_READ: Final = (
    ("cache_read_input_tokens",),
    ("prompt_tokens_details", "cached_tokens"),
    ("input_tokens_details", "cached_tokens"),
    ("prompt_cache_hit_tokens",),
    ("cached_tokens",),
    ("num_cached_tokens",),
)
_CACHE_WRITTEN: Final = (
    ("cache_creation_input_tokens",),
    ("prompt_tokens_details", "cache_write_tokens"),
    ("prompt_tokens_details", "cache_creation_tokens"),
    ("prompt_tokens_details", "cache_creation_input_tokens"),
)
_CACHE_PLACES: Final = (*_CACHE_READ, *_CACHE_WRITTEN)
_ANTHROPIC_CACHE: Final = ("cache_read_input_tokens", "cache_creation_input_tokens")
_SEARCHES: Final = (("server_tool_use", "web_search_requests"), ("num_search_queries",))
_CHAT_NAMES: Final = frozenset({"prompt_tokens", "completion_tokens", "input_tokens", "output_tokens"})
# where counts stand but in `usage`
_OTHER_PLACES: Final = frozenset({"x_groq", "usageMetadata", "usage_metadata"})
# native names without underscores and capitals: those of Gemini, and Chat's in camel case
_NATIVE: Final = {
    "prompttokencount": "prompt_tokens",
    "candidatestokencount": "completion_tokens",
    "responsetokencount": "completion_tokens",
    "thoughtstokencount": "thoughts",
    "cachedcontenttokencount": "cached",
    "totaltokencount": "total_tokens",
    "prompttokens": "prompt_tokens",
    "completiontokens": "completion_tokens",
    "inputtokens": "prompt_tokens",
    "outputtokens": "completion_tokens",
    "totaltokens": "total_tokens",
    "cachedinputtokens": "cached",
    "reasoningtokens": "thoughts",
}
# what providers call the tier that costs what their price list says
_STANDARD: Final = frozenset({"", "auto", "default", "standard", "standard_only", "on_demand"})
_LONGEST_TIER: Final = 16
_TIERS: Final = {"priority": "priority", "fast": "priority", "scale": "priority"}


@frozen
class Usage:
    """Anthropic's numbers of one answer. `estimated`: the upstream did not tell all of them.

    `cache_told`: the upstream said what came from its cache, or that nothing did.
    `service_tier`: in Anthropic's words; `tier`: in the provider's, "" for the standard one.
    """

    input_tokens: int
    output_tokens: int
    cache_read: int = 0
    cache_written: int = 0
    thinking_tokens: int | None = None
    searches: int = 0
    cache_written_1h: int = 0
    service_tier: str = "standard"
    estimated: bool = False
    tier: str = ""
    cache_told: bool = False

    @property
    def context_tokens(self) -> int:
        """Everything that stood in the model's window when it stopped."""
        return self.input_tokens + self.cache_read + self.cache_written + self.output_tokens

    def at_start(self) -> MessageUsage:
        """For message_start."""
        return {
            "input_tokens": self.input_tokens,
            "cache_creation_input_tokens": self.cache_written,
            "cache_read_input_tokens": self.cache_read,
            "output_tokens": self.output_tokens,
        }

    def at_end(self) -> MessageUsage:
        """For message_delta."""
        numbers = self.at_start()
        if self.thinking_tokens is not None:
            numbers["output_tokens_details"] = {"thinking_tokens": self.thinking_tokens}
        if self.cache_written_1h:
            numbers["cache_creation"] = self._cache_creation()
        if self.searches:
            numbers["server_tool_use"] = self._server_tool_use()
        return numbers

    def whole(self) -> MessageUsage:
        """For a message that is not streamed."""
        return {
            **self.at_end(),
            "cache_creation": self._cache_creation(),
            "server_tool_use": self._server_tool_use(),
            "service_tier": self.service_tier,
            "inference_geo": None,
            "speed": None,
        }

    def _cache_creation(self) -> CacheCreation | None:
        if not self.cache_written:
            return None
        longer = self.cache_written_1h
        return {
            "ephemeral_5m_input_tokens": self.cache_written - longer,
            "ephemeral_1h_input_tokens": longer,
        }

    def _server_tool_use(self) -> ServerToolCounts | None:
        return {"web_search_requests": self.searches, "web_fetch_requests": 0} if self.searches else None


def usage_of(
    counts: Mapping[str, object] | None,
    context: AnswerContext,
    output: Output,
    ledger: Ledger,
    *,
    tier: object = None,
) -> Usage:
    """Anthropic's numbers of an answer; what the upstream's usage object does not tell is estimated."""
    counts = counts or {}
    prompt = _prompt_of(counts)
    completion = _first_known(counts, "completion_tokens", "output_tokens")
    read = _first_positive(counts, _CACHE_READ)
    written = _first_positive(counts, _CACHE_WRITTEN)
    cached = read + written
    reasoning = _number(_at(counts, ("completion_tokens_details", "reasoning_tokens")))
    if reasoning is None:
        reasoning = _number(_at(counts, ("output_tokens_details", "reasoning_tokens")))
    total = _number(counts.get("total_tokens")) or 0
    if prompt == 0 and not read and not written and context.estimated_input_tokens:
        ledger.repair(repairs.USAGE_NO_PROMPT)
        prompt = None
    if completion == 0 and output.something:
        ledger.repair(repairs.USAGE_NO_ANSWER)
        completion = None
    if completion is None and prompt is not None:
        rest = total - prompt - (cached if prompt < cached else 0)
        completion = rest if rest > 0 else None
    elif prompt is None and completion is not None:
        prompt = total - completion if total > completion else None
    elif prompt is not None and completion is not None:
        beside = total - prompt - completion
        if beside > 0 and prompt >= cached and beside in (read, written, cached):
            ledger.repair(repairs.USAGE_CACHED)
            prompt += beside
        elif reasoning and cached and prompt >= cached and beside - reasoning in (read, written, cached):
            ledger.repair(repairs.USAGE_CACHED)
            ledger.repair(repairs.USAGE_REASONING)
            prompt += beside - reasoning
            completion += reasoning
        elif beside > 0 and (beside == reasoning or not (reasoning or cached)):
            ledger.repair(repairs.USAGE_REASONING)
            completion += beside
    if prompt is not None and prompt < cached:
        # a part is never more than the whole
        ledger.repair(repairs.USAGE_CACHED)
        prompt += cached
    estimated = prompt is None or completion is None
    if completion is None:
        completion = estimate_tokens(output.texts, context.profile.vocabulary)
    if estimated:
        ledger.repair(repairs.USAGE_MISSING)
    return Usage(
        input_tokens=context.estimated_input_tokens if prompt is None else max(0, prompt - read - written),
        output_tokens=completion,
        cache_read=read,
        cache_written=written,
        thinking_tokens=reasoning,
        searches=_first_positive(counts, _SEARCHES) + context.searches,
        service_tier=_TIERS.get(tier, "standard") if isinstance(tier, str) else "standard",
        estimated=estimated,
        tier=priced_tier(tier),
        cache_told=cached > 0 or any(_at(counts, place) is not None for place in _CACHE_PLACES),
    )


def own_usage(counts: object, context: AnswerContext, *, written: int) -> Usage:
    """The numbers of an answer in Anthropic's own words; `written`: our estimate of its output."""
    counts = counts if isinstance(counts, dict) else {}
    given, made = _number(counts.get("input_tokens")), _number(counts.get("output_tokens"))
    cache_written = _number(counts.get("cache_creation_input_tokens")) or 0
    longer = _number(_at(counts, ("cache_creation", "ephemeral_1h_input_tokens"))) or 0
    return Usage(
        input_tokens=context.estimated_input_tokens if given is None else given,
        output_tokens=written if made is None else made,
        cache_read=_number(counts.get("cache_read_input_tokens")) or 0,
        cache_written=cache_written,
        cache_written_1h=min(longer, cache_written),
        thinking_tokens=_number(_at(counts, ("output_tokens_details", "thinking_tokens"))),
        searches=_number(_at(counts, ("server_tool_use", "web_search_requests"))) or 0,
        estimated=given is None or made is None,
        tier=priced_tier(counts.get("speed")) or priced_tier(counts.get("service_tier")),
        cache_told=any(counts.get(name) is not None for name in _ANTHROPIC_CACHE),
    )


def priced_tier(told: object) -> str:
    """The service tier that an answer names, as prices are kept for it; "" for the standard one."""
    word = told.strip().lower() if isinstance(told, str) else ""
    known = len(word) <= _LONGEST_TIER and word.isascii() and word.replace("_", "").isalnum()
    return word if known and word not in _STANDARD else ""


def usage_at_start(counts: Mapping[str, object] | None, context: AnswerContext) -> Usage:
    """The numbers for message_start: of the first chunk, if it has some, else the estimate.

    See docs/conversion.md, "Events to the client".
    """
    counts = counts or {"prompt_tokens": context.estimated_input_tokens}
    return usage_of({"completion_tokens": 0, **counts}, context, Output(), Ledger())


def counts_in(payload: Mapping[str, object], choice: object = None) -> JSONObject | None:
    """The usage object of a completion or chunk, wherever it stands; Chat's names for Gemini's own."""
    groq = payload.get("x_groq")
    places = (
        payload.get("usage"),
        groq.get("usage") if isinstance(groq, dict) else None,
        choice.get("usage") if isinstance(choice, dict) else None,
        payload.get("usageMetadata"),
        payload.get("usage_metadata"),
    )
    counts = next((place for place in places if isinstance(place, dict) and place), None)
    return counts if counts is None or _CHAT_NAMES & counts.keys() else _in_chats_names(counts)


def tells_counts(chunk: Mapping[str, object]) -> bool:
    """Whether a chunk has counts of its own, outside of its choices."""
    return bool(chunk.get("usage")) or not _OTHER_PLACES.isdisjoint(chunk)


def _in_chats_names(counts: JSONObject) -> JSONObject:
    """Counts under a provider's native names; Gemini's thoughts stand beside the candidates' tokens."""
    told = {_NATIVE[name]: number for key, number in counts.items() if (name := _plain(key)) in _NATIVE}
    if not told:
        return counts
    thoughts, prompt = _number(told.pop("thoughts", None)), _number(told.get("prompt_tokens"))
    completion, cached = _number(told.get("completion_tokens")), told.pop("cached", None)
    if thoughts:
        told["completion_tokens_details"] = {"reasoning_tokens": thoughts}
        inside = prompt is not None and prompt + (completion or 0) == _number(told.get("total_tokens"))
        told["completion_tokens"] = (completion or 0) + (0 if inside else thoughts)
    if cached is not None:
        told["prompt_tokens_details"] = {"cached_tokens": cached}
    return {**counts, **told}


def _plain(name: str) -> str:
    return name.replace("_", "").lower()


def latest(
    known: Mapping[str, object] | None, told: Mapping[str, object] | None, ledger: Ledger
) -> Mapping[str, object] | None:
    """The counts of a stream so far: a later count never takes away what an earlier one told."""
    if not known or not told:
        return told or known
    merged, took_away = _merged(known, told)
    if took_away:
        ledger.repair(repairs.USAGE_LATER, once=True)
    return merged


def _merged(
    known: Mapping[str, Any], told: Mapping[str, Any], depth: int = 1
) -> tuple[Mapping[str, object], bool]:
    """The counts of both, with those of the details one level down; whether a later one was left out."""
    merged, took_away = {**known}, False
    for name, value in told.items():
        before = known.get(name)
        if depth and type(value) is dict and type(before) is dict:
            merged[name], inside = _merged(before, value, depth - 1)
            took_away = took_away or inside
        elif _is_news(value, before):
            merged[name] = value
        elif value is not None and value != before:
            took_away = True
    return merged, took_away


def _is_news(value: object, known: object) -> bool:
    number, before = _number(value), _number(known)
    if number is not None and before is not None:
        return number > before
    return known is None or bool(value)


def _prompt_of(counts: Mapping[str, object]) -> int | None:
    """The tokens of the prompt, cached ones included: Chat's number, or what others make of it."""
    prompt = _number(counts.get("prompt_tokens"))
    if prompt is not None:
        return prompt
    told = _number(counts.get("input_tokens"))
    if told is not None:
        # in Anthropic's words the three are disjoint
        more = (_number(counts.get(name)) or 0 for name in _ANTHROPIC_CACHE)
        return told + sum(more)
    hit, miss = (_number(counts.get(f"prompt_cache_{name}_tokens")) for name in ("hit", "miss"))
    return hit + miss if hit is not None and miss is not None else None


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
        if value is None:
            return None
    return value


def _first_positive(counts: Mapping[str, object], places: tuple[tuple[str, ...], ...]) -> int:
    for place in places:
        # most providers have few of them, and this is asked for each answer, twice for a stream
        value = counts.get(place[0])
        if value is not None and (number := _number(_at(value, place[1:]))):
            return number
    return 0


def _first_known(counts: Mapping[str, object], *names: str) -> int | None:
    for name in names:
        number = _number(counts.get(name))
        if number is not None:
            return number
    return None


def _number(value: object) -> int | None:
    """A count, also as a string or a float with an integral value; negative is 0."""
    if type(value) is int and 0 <= value <= MOST_TOKENS:
        return value
    if value is None:
        return None
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float) and not value.is_integer():
        return None
    return min(max(0, int(value)), MOST_TOKENS)
