"""How many tokens messages have, estimated, and the counter that remembers texts.

A client sends its whole history with each turn; so what was counted once is remembered
by its hash, apart for each vocabulary that counts. All counts in here are packed
(`token_classes`).

See docs/conversion.md, "The estimate".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Final

from gateway.cache import GenerationalCache
from gateway.conversion.block_kinds import BLOCK_KINDS
from gateway.conversion.blocks import pdf
from gateway.conversion.blocks.documents import extracted_text
from gateway.conversion.blocks.images import OMITTED
from gateway.conversion.profile import Profile
from gateway.conversion.provider_state import Opener
from gateway.conversion.token_counts import TokenCounts
from gateway.conversion.tokens.image_tokens import image_tokens
from gateway.conversion.tokens.vocabulary import RULE, text_tokens
from gateway.conversion.tools.exposure import Declared
from gateway.conversion.tools.functions import declared_functions, description_text
from gateway.wire import jsontext
from gateway.wire.messages_request import RequestBlock, RequestMessage

_PER_MESSAGE: Final = 4
_PER_TOOL_USE: Final = 8
_PER_TOOL_RESULT: Final = 6
_PER_WRAPPER: Final = 8
_PER_TOOL: Final = 12
_PDF_PAGE: Final = 2000

_DEEPEST: Final = 50
# Not sent upstream, or not as text.
_OPAQUE: Final = frozenset(
    {
        "type",
        "id",
        "tool_use_id",
        "cache_control",
        "encrypted_content",
        "encrypted_index",
        "signature",
        "data",
    }
)

# Counts are remembered by the hash of their text, so no text of a client is held. Two texts with the same
# 64 bits would share a count, which does no harm in an estimate.
_Counts = GenerationalCache[int, int]
_pdf_pages: Final = _Counts(200)


def _counted(known: _Counts, text: str, count: Callable[[str], int]) -> int:
    """`count(text)`, once while it is remembered."""
    key = hash(text)
    number = known.get(key)
    if number is None:
        number = count(text)
        known.put(key, number)
    return number


class TextCounter:
    """Counts by one vocabulary and remembers."""

    def __init__(self, vocabulary: str) -> None:
        self._texts = _Counts(20_000)
        self._tools = _Counts(5_000)
        self._signatures = _Counts(5_000)
        self._pdf_texts = _Counts(200)
        self._vocabulary = vocabulary

    def text(self, text: str) -> int:
        return _counted(self._texts, text, self._count) if text else 0

    def tool(self, declared: Declared) -> int:
        return _counted(self._tools, jsontext.dumps_text(declared.tool), lambda _: self._tool(declared))

    def hidden_thinking(self, signature: str, opaque: Opener) -> int:
        # the same text is unreadable for another owner
        known_by = f"{opaque.seal.owner}\0{signature}"
        return _counted(self._signatures, known_by, lambda _: self._hidden_thinking(signature, opaque))

    def pdf_text(self, data: str, opaque: Opener) -> int:
        return _counted(self._pdf_texts, data, lambda data: self._count(extracted_text(data, opaque)))

    def _count(self, text: str) -> int:
        return text_tokens(text, self._vocabulary).packed

    def _tool(self, declared: Declared) -> int:
        """Name, description and schema as functions; nothing for a tool which is not sent."""
        return sum(
            _PER_TOOL
            + self.text(function.name)
            + self.text(description_text(function) or "")
            + self.text(jsontext.dumps_text(function.schema))
            for function in declared_functions(declared) or ()
        )

    def _hidden_thinking(self, signature: str, opaque: Opener) -> int:
        payload = opaque.signature(signature)
        text = payload.get("t") if payload else None
        return self._count(text) if type(text) is str else 0


text_counter: Final = cache(TextCounter)


def message_tokens(
    messages: list[RequestMessage], profile: Profile, opaque: Opener, *, spoken_later: bool = False
) -> int:
    """The packed count of checked messages. `spoken_later`: the user says more behind them."""
    counter = text_counter(profile.vocabulary)
    return _Messages(messages, profile, counter, opaque, spoken_later=spoken_later).tokens()


def speaks(message: RequestMessage) -> bool:
    """Whether this is a message of the user which is not made of tool results alone."""
    if message["role"] != "user":
        return False
    content = message["content"]
    return isinstance(content, str) or any(block["type"] != "tool_result" for block in content)


class _Messages:
    """The walk over the messages of one request."""

    def __init__(
        self,
        messages: list[RequestMessage],
        profile: Profile,
        counter: TextCounter,
        opaque: Opener,
        *,
        spoken_later: bool,
    ) -> None:
        self._opaque = opaque
        self._messages = messages
        self._profile = profile
        self._counter = counter
        self._counters: dict[str, Callable[[RequestBlock], int]] = {
            **_UNCOUNTED,
            "text": self._text,
            "tool_use": self._tool_use,
            "tool_result": self._tool_result,
            "thinking": self._thinking,
            "image": self._image,
            "document": self._document,
            "tool_reference": self._tool_reference,
        }
        self._spoken_later = spoken_later
        self._in_scope = True

    def tokens(self) -> int:
        tokens = 0
        replayed_from = self._first_replayed()
        for position, message in enumerate(self._messages):
            self._in_scope = position >= replayed_from
            tokens += _PER_MESSAGE + self._content(message.get("content"))
        return tokens

    def _first_replayed(self) -> int:
        """The first message whose thinking goes back upstream.

        See docs/conversion.md, "Sending thinking back".
        """
        profile = self._profile
        if profile.protocol == "anthropic":
            return 0
        if profile.protocol == "chat" and not profile.replay_fields:
            return len(self._messages)
        if profile.protocol == "responses" or profile.replay_scope == "always":
            return 0
        if self._spoken_later:
            return len(self._messages)
        for position in range(len(self._messages) - 1, -1, -1):
            if speaks(self._messages[position]):
                return position
        return 0

    def _content(self, content: object) -> int:
        if type(content) is str:
            return self._counter.text(content)
        tokens = 0
        for block in content if type(content) is list else ():
            tokens += self._counters.get(block["type"], self._leaves_of)(block)
        return tokens

    def _tool_result(self, block: RequestBlock) -> int:
        return _PER_TOOL_RESULT + self._content(block.get("content"))

    def _thinking(self, block: RequestBlock) -> int:
        if not self._in_scope:
            return 0
        signature = block.get("signature")
        if block["thinking"] or type(signature) is not str:
            return self._counter.text(block["thinking"])
        return self._counter.hidden_thinking(signature, self._opaque)

    def _image(self, block: RequestBlock) -> int:
        if self._profile.images == "text":
            return self._counter.text(OMITTED)
        return image_tokens(block["source"], self._profile.image_tokens)

    def _document(self, block: RequestBlock) -> int:
        source = block["source"]
        tokens = _PER_WRAPPER
        for text in (block.get("title"), block.get("context")):
            tokens += self._counter.text(text or "")
        match source["type"]:
            case "text":
                return tokens + self._counter.text(source["data"])
            case "content":
                return tokens + self._content(source["content"])
            case "base64" if self._profile.pdf == "extract":
                return tokens + self._counter.pdf_text(source["data"], self._opaque)
            case "base64":
                return tokens + _PDF_PAGE * _counted(_pdf_pages, source["data"], pdf.page_count)
        return tokens + _PDF_PAGE

    def _text(self, block: RequestBlock) -> int:
        return self._counter.text(block["text"])

    def _tool_use(self, block: RequestBlock) -> int:
        arguments = jsontext.dumps_text(block["input"])
        return _PER_TOOL_USE + self._counter.text(block["name"]) + self._counter.text(arguments)

    def _tool_reference(self, block: RequestBlock) -> int:
        return self._counter.text(f"Tool available: {block['tool_name']}")

    def _leaves_of(self, block: RequestBlock) -> int:
        """Results of server tools, summaries and what else becomes text."""
        return sum(map(self._counter.text, _leaves(block)))


def _nothing(_block: RequestBlock) -> int:
    return 0


_UNCOUNTED: Final = {kind.name: _nothing for kind in BLOCK_KINDS.values() if kind.counted == "nothing"}


def _leaves(value: object, depth: int = _DEEPEST) -> Iterator[str]:
    if type(value) is str:
        yield value
    elif depth == 0:
        return
    elif type(value) is list:
        for item in value:
            yield from _leaves(item, depth - 1)
    elif type(value) is dict:
        for name, item in value.items():
            if name not in _OPAQUE:
                yield from _leaves(item, depth - 1)


def count_leaves(value: object) -> int:
    """The tokens of all texts in a JSON value, by the rule; what is opaque or too deep counts nothing."""
    counter = text_counter(RULE)
    return TokenCounts.unpacked(sum(map(counter.text, _leaves(value)))).total


def estimate_text_tokens(text: str, vocabulary: str = RULE) -> int:
    """The tokens of one text, by the rule or by a vocabulary."""
    return estimate_tokens([text], vocabulary)


def estimate_tokens(texts: Iterable[str], vocabulary: str = RULE) -> int:
    """The tokens of separate texts together, by the rule or by a vocabulary."""
    return TokenCounts.unpacked(sum(map(text_counter(vocabulary).text, texts))).total
