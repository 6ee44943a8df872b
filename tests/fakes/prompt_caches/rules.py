"""The rules of each family of prompt caches, and what they make of one request after the other.

Where a document leaves something open, the reading with fewer hits was taken, and the comment says so.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, NamedTuple

from gateway.pricing.price import Rates, Tokens
from tests.fakes.prompt_caches.prompts import End, JSONObject, Prompt, rendered

MINUTE: Final = 60.0
HOUR: Final = 60 * MINUTE


class Receipt(NamedTuple):
    """The tokens of one prompt: `read` from the cache, `written` to it (`written_long`: those of them for a
    longer lifetime), and the rest, billed in full."""

    read: int
    written: int
    written_long: int
    full: int

    @property
    def prompt(self) -> int:
        return self.read + self.written + self.full

    def cost(self, rates: Rates) -> Decimal:
        return rates.amount(Tokens(self.full, 0, self.read, self.written, self.written_long))


def rates(
    full: str, read: str, write: str | None = None, longer: str | None = None
) -> Rates:  # for a million tokens
    optional = [None if price is None else Decimal(price) for price in (write, longer)]
    return Rates(Decimal(full), Decimal(0), Decimal(read), *optional)


class Machines:
    """`prompt_cache_key` as routing: which of several machines, each with a cache of its own, is asked.

    Source: developers.openai.com/api/docs/guides/prompt-caching: requests are routed by a hash of the
    prompt's beginning (about 256 tokens), combined with the key; when one beginning and key are asked more
    than about 15 times a minute, some go to further machines.
    """

    MOST_A_MINUTE: Final = 15

    def __init__(self) -> None:
        self._asked: dict[tuple[bytes, str], list[deque[float]]] = {}

    def machine(self, prompt: Prompt, now: float) -> tuple[bytes, str, int]:
        """The first machine that was asked less than 15 times in the last minute."""
        where = (prompt.start, prompt.key)
        machines = self._asked.setdefault(where, [])
        for number, times in enumerate(machines):
            while times and times[0] <= now - MINUTE:
                times.popleft()
            if len(times) < self.MOST_A_MINUTE:
                times.append(now)
                return (*where, number)
        machines.append(deque([now]))
        return (*where, len(machines) - 1)


class Entries:
    """What is cached where, and until when."""

    def __init__(self) -> None:
        self._until: dict[Any, tuple[float, float]] = {}

    def live(self, entry: Any, now: float) -> bool:
        return self._until.get(entry, (0.0, 0.0))[0] > now

    def keep(self, entry: Any, lifetime: float, now: float) -> None:
        self._until[entry] = (now + lifetime, lifetime)

    def refresh(self, entry: Any, now: float) -> None:
        """Using an entry begins its lifetime again."""
        _, lifetime = self._until[entry]
        self._until[entry] = (now + lifetime, lifetime)


class OpenAIBreakpoints:
    """OpenAI from GPT-5.6 on.

    Sources: the docstrings of `PromptCacheOptions` and `PromptCacheBreakpoint` in the openai package (four
    breakpoints written, one of them implicit unless `mode` is `explicit`; the latest 80 looked at; 30
    minutes or 12 hours); the prompt caching guide: 1,024 tokens at least; the implicit breakpoint stands at
    the latest message of the user or a tool; nothing falls back to the longest prefix without a breakpoint;
    writes cost 1.25 times the input, for 12 hours 2.5 times. ax-llm/ax#573 measured that an append-only
    conversation without breakpoints reads its system text alone. Breakpoints on parts of the assistant are
    ignored. Open is whether the implicit breakpoints of earlier requests are looked at: here they are not.
    """

    rates: Final = rates("2.00", "0.10", "2.50", "5.00")  # gpt-6.1-sol
    LEAST: Final = 1024
    WRITTEN: Final = 4
    LOOKED_AT: Final = 80
    LIFETIMES: Final = {"30m": 30 * MINUTE, "12h": 12 * HOUR}

    def __init__(self) -> None:
        self._machines, self._entries = Machines(), Entries()

    def ask(self, body: JSONObject, now: float) -> Receipt:
        prompt = rendered(body)
        machine = self._machines.machine(prompt, now)
        explicit = [end for end in prompt.ends if end.marker and end.speaker != "assistant"]
        implicit = [] if prompt.explicit_only else _latest(prompt.ends)
        writes = explicit[-(self.WRITTEN - len(implicit)) :] + implicit
        looked_at = explicit[-self.LOOKED_AT :] + implicit
        hits = [
            end
            for end in looked_at
            if end.tokens >= self.LEAST and self._entries.live((machine, end.digest), now)
        ]
        for end in hits:
            self._entries.refresh((machine, end.digest), now)
        read = max((end.tokens for end in hits), default=0)
        written = longer = 0
        for end in sorted(writes, key=lambda end: end.tokens):
            if end.tokens > read + written and end.tokens >= self.LEAST:
                ttl = (end.marker or {}).get("ttl") or prompt.ttl or "30m"
                self._entries.keep((machine, end.digest), self.LIFETIMES[ttl], now)
                new = end.tokens - read - written
                written += new
                longer += new if ttl == "12h" else 0
        return Receipt(read, written, longer, prompt.tokens - read - written)


def _latest(ends: list[End]) -> list[End]:
    return next(([end] for end in reversed(ends) if end.speaker in ("user", "tool")), [])


class LongestPrefix:
    """Automatic caches: the longest common prefix, in blocks."""

    LEAST = 1024
    BLOCK = 128
    LIFETIME = 10 * MINUTE

    def __init__(self) -> None:
        self._machines, self._entries = Machines(), Entries()

    def where(self, prompt: Prompt, now: float) -> Any:
        return self._machines.machine(prompt, now)

    def ask(self, body: JSONObject, now: float) -> Receipt:
        prompt = rendered(body)
        machine, read = self.where(prompt, now), 0
        blocks = prompt.blocks(self.BLOCK)
        for number, digest in enumerate(blocks, 1):
            if not self._entries.live((machine, digest), now):
                break
            read = number * self.BLOCK
        for digest in blocks:
            self._entries.keep((machine, digest), self.LIFETIME, now)
        read = read if read >= self.LEAST else 0
        return Receipt(read, 0, 0, prompt.tokens - read)


class OpenAIAutomatic(LongestPrefix):
    """OpenAI before GPT-5.6: the longest prefix from 1,024 tokens on, in steps of 128, kept for 5 to 10
    minutes without use; writing is free. Source: the prompt caching guide."""

    rates: Final = rates("1.25", "0.125")  # gpt-5


class GeminiImplicit(LongestPrefix):
    """Gemini's implicit caching: common beginnings of 4,096 tokens and more (2,048 for 2.5).

    Source: ai.google.dev/gemini-api/docs/caching. Steps, lifetime and routing are not published, and no hit
    is promised: here every prefix hits within ten minutes, so a miss is the request's fault.
    """

    rates: Final = rates("2.00", "0.20")  # gemini-3.1-pro
    LEAST = 4096
    BLOCK = 16

    def where(self, prompt: Prompt, now: float) -> Any:
        return None


class DeepSeekDisk:
    """DeepSeek's cache on disk.

    Source: api-docs.deepseek.com/guides/kv_cache: a request leaves a unit at the end of its input; a prefix
    that several requests share becomes a unit of its own; a later request hits a unit only when it has all of
    it; from 64 tokens; units live for hours to days. Units at the end of the output and at fixed intervals,
    whose length is not published, are left out, which gives fewer hits.
    """

    rates: Final = rates("0.435", "0.003625")  # deepseek-v4-pro
    LEAST: Final = 64
    LIFETIME: Final = 12 * HOUR

    def __init__(self) -> None:
        self._units, self._seen = Entries(), Entries()

    def ask(self, body: JSONObject, now: float) -> Receipt:
        prompt = rendered(body)
        ends = [end for end in prompt.ends if end.tokens >= self.LEAST]
        hits = [end for end in ends if self._units.live(end.digest, now)]
        read = hits[-1].tokens if hits else 0
        shared = [end for end in ends if self._seen.live(end.digest, now)]
        for end in [*hits[-1:], *shared[-1:], *ends[-1:]]:
            self._units.keep(end.digest, self.LIFETIME, now)
        for end in ends:
            self._seen.keep(end.digest, self.LIFETIME, now)
        return Receipt(read, 0, 0, prompt.tokens - read)


class AnthropicMarks:
    """Anthropic, and Claude behind others.

    Source: platform.claude.com/docs/en/build-with-claude/prompt-caching: up to four markers, the order is
    tools, system, messages; from 1,024 tokens (more for some models); from each marker 20 blocks are looked
    back for what was written before; 5 minutes, or an hour for twice the input's price; using renews.
    """

    rates: Final = rates("5.00", "0.50", "6.25", "10.00")  # claude-opus-4-8
    LEAST: Final = 1024
    MARKS: Final = 4
    BACK: Final = 20
    LIFETIMES: Final = {"5m": 5 * MINUTE, "1h": HOUR}

    def __init__(self) -> None:
        self._entries = Entries()

    def ask(self, body: JSONObject, now: float) -> Receipt:
        prompt = rendered(body)
        marked = [number for number, end in enumerate(prompt.ends) if end.marker]
        if len(marked) > self.MARKS:
            raise ValueError(f"A maximum of {self.MARKS} blocks with cache_control may be provided")
        read = 0
        for number in marked:
            for end in prompt.ends[max(0, number - self.BACK) : number + 1]:
                if end.tokens >= self.LEAST and self._entries.live(end.digest, now):
                    self._entries.refresh(end.digest, now)
                    read = max(read, end.tokens)
        written = longer = 0
        for number in marked:
            end = prompt.ends[number]
            if end.tokens > read + written and end.tokens >= self.LEAST:
                ttl = (end.marker or {}).get("ttl") or "5m"
                self._entries.keep(end.digest, self.LIFETIMES[ttl], now)
                new = end.tokens - read - written
                written += new
                longer += new if ttl == "1h" else 0
        return Receipt(read, written, longer, prompt.tokens - read - written)


PromptCache = OpenAIBreakpoints | OpenAIAutomatic | GeminiImplicit | DeepSeekDisk | AnthropicMarks


@dataclass(frozen=True)
class Family:
    """A family: its cache, and the preset and model by which the gateway talks to it.

    `protocol` chooses among the preset's endpoints.
    """

    name: str
    cache: type[PromptCache]
    preset: str
    model: str
    protocol: str


FAMILIES: Final = (
    Family("openai-5.6-responses", OpenAIBreakpoints, "openai", "gpt-6.1-sol", "responses"),
    Family("openai-5.6-chat", OpenAIBreakpoints, "openai-chat", "gpt-5.6-sol", "chat"),
    Family("openai-automatic", OpenAIAutomatic, "openai", "gpt-5", "responses"),
    Family("anthropic", AnthropicMarks, "anthropic", "claude-opus-4-8", "anthropic"),
    Family("claude-on-openrouter", AnthropicMarks, "openrouter", "anthropic/claude-opus-4.8", "chat"),
    Family("deepseek", DeepSeekDisk, "deepseek", "deepseek-v4-pro", "chat"),
    Family("gemini", GeminiImplicit, "gemini", "gemini-3.1-pro-preview", "chat"),
)
