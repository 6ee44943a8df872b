"""The words of a conversation for the search index, and of a query (pure).

Text is cut into words here and not by the database, so that SQLite and PostgreSQL find the same: lower
case, letters and digits, and in scripts without spaces every character is a word of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway import patterns
from gateway.conversion.block_kinds import kind_of

# Words of one text that are indexed; longer texts are mostly files that a tool read.
MOST_WORDS: Final = 20_000
# PostgreSQL takes 1,048,575 bytes in one tsvector, positions included: up to 5 bytes a word.
MOST_BYTES: Final = 900_000
# Longer runs are encoded data.
LONGEST_WORD: Final = 64
MOST_TERMS: Final = 12
# At most this many characters are cut into words in one call, during which no other thread runs.
AT_ONCE: Final = 20_000

_UNSPACED: Final = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_WORD: Final = patterns.compiled(f"[{_UNSPACED}]|[^\\W_{_UNSPACED}]+")
# Of ASCII only letters and digits remain; bytes of other characters stay.
_APART: Final = bytes(byte if byte > 127 or chr(byte).isalnum() else 32 for byte in range(256))
_TERM: Final = patterns.compiled(r'"([^"]*)"?|(\S+)')


@dataclass(frozen=True, slots=True)
class Term:
    """Words that must follow each other; `prefix`: the last one may continue."""

    words: tuple[str, ...]
    prefix: bool = False


def words(text: str) -> list[str]:
    """The words of `text` in order."""
    return [word for portion in _portions(text) for word in portion]


def _portions(text: str) -> Iterator[list[str]]:
    """The same, for at most AT_ONCE characters at a time."""
    start = 0
    while start < len(text):
        end = _portion_end(text, start)
        yield _cut(text[start:end].lower())
        start = end


def _portion_end(text: str, start: int) -> int:
    """The end of the portion from `start`: at a space, else after a sign, else within a long run."""
    most = start + AT_ONCE
    if most >= len(text):
        return len(text)
    end = max(text.rfind(space, start, most) for space in " \n")
    if end > start:
        return end
    # a run that is longer than any word is encoded data, or script of which each character is a word
    for end in range(most, max(start, most - LONGEST_WORD - 1), -1):
        if not text[end - 1].isalnum():
            return end
    return most


def _cut(lower: str) -> list[str]:
    """The words of a text in lower case. ASCII is cut by its bytes, which takes a third of the pattern's
    time.
    """
    found = lower.encode("utf-8", "surrogatepass").translate(_APART).decode("utf-8", "surrogatepass").split()
    if lower.isascii() and max(map(len, found), default=0) <= LONGEST_WORD:
        return found
    odd = [index for index, word in enumerate(found) if len(word) > LONGEST_WORD or not word.isascii()]
    kept: list[str] = []
    last = 0
    for index in odd:
        kept += found[last:index]
        kept += [word for word in _WORD.findall(found[index]) if len(word) <= LONGEST_WORD]
        last = index + 1
    return kept + found[last:]


def indexed(texts: Iterable[str]) -> str:
    """The words of texts, separated by spaces: what is stored in the index."""
    found: list[str] = []
    for text in texts:
        for portion in _portions(text):
            found += portion
            if len(found) >= MOST_WORDS:
                return _fitting(" ".join(found[:MOST_WORDS]))
    return _fitting(" ".join(found))


def _fitting(words: str) -> str:
    """As many whole words from the beginning as fit into MOST_BYTES."""
    if len(words) * 4 <= MOST_BYTES:
        return words
    plain = words.encode("utf-8", "replace")
    if len(plain) <= MOST_BYTES:
        return words
    return plain[: plain.rfind(b" ", 0, MOST_BYTES)].decode()


def terms(query: str) -> list[Term]:
    """What a person typed: words that must all occur, "words in a row", and word* for a prefix."""
    found = []
    for match in _TERM.finditer(query):
        quoted, plain = match.groups()
        text = plain if quoted is None else quoted
        parts = tuple(words(text))
        if parts:
            found.append(Term(parts, prefix=quoted is None and text.endswith("*")))
    return found[:MOST_TERMS]


def message_texts(message: object) -> Iterator[str]:
    """The searchable parts of a message or answer: texts, thinking, arguments and results of tools."""
    if isinstance(message, Mapping):
        yield from _content(message.get("content"))


def _content(content: Any) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        for block in content:
            if isinstance(block, Mapping):
                yield from _block(block)


def _block(block: Mapping[str, Any]) -> Iterator[str]:
    kind = kind_of(block.get("type"))
    for name in kind.searched if kind else ():
        value = block.get(name)
        if name == "content":
            yield from _content(value)
        elif name == "source":
            # other fields are files and addresses
            if isinstance(value, Mapping) and value.get("type") == "text":
                yield from _strings(value.get("data"))
        else:
            yield from _strings(value)


def _strings(value: Any) -> Iterator[str]:
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, Mapping):
            waiting.extend(reversed(list(value.values())))
        elif isinstance(value, list):
            waiting.extend(reversed(value))
