"""Which of a provider's models could stand for opus, sonnet and haiku: a proposal by name (pure)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

_OPUS, _SONNET, _HAIKU, _ALL = "*opus*", "*sonnet*", "*haiku*", "*"
# words of names, whole between separators; sizes such as 8b are ranked by their number
_SMALL: Final = frozenset({"haiku", "mini", "small", "flash", "lite", "nano", "air", "tiny", "instant"})
_LARGE: Final = frozenset({"opus", "pro", "max", "large", "plus", "ultra", "big"})
# models that do not answer with text
_OTHER: Final = (
    "embed", "whisper", "tts", "audio", "image", "dall-e", "moderation", "rerank", "realtime", "transcribe",
    "speech", "ocr", "guard", "sora", "video", "babbage", "davinci",
)  # fmt: skip
# billions of parameters
_SMALLEST_MIDDLE: Final = 15
_SMALLEST_LARGE: Final = 100


class NamedModel(NamedTuple):
    """`window`: the size of its context in tokens, 0 if unknown."""

    name: str
    window: int


def proposed(models: Sequence[NamedModel], taken: Collection[str]) -> dict[str, str]:
    """A pattern for some of the models, by name; none that is `taken`.

    Of models of one size it is the one with the largest window, and of those the first. A single model gets
    the pattern for all names.
    """
    able = [model for model in models if not any(word in model.name.lower() for word in _OTHER)]
    if len(able) == 1:
        return {} if _ALL in taken else {able[0].name: _ALL}
    found: dict[str, str] = {}
    for pattern in (_OPUS, _SONNET, _HAIKU):
        own = pattern.strip("*")
        of_size = [model for model in able if _size(model.name) == pattern and model.name not in found]
        named = [model for model in of_size if own in model.name.lower()]
        best = max(named or of_size, key=lambda model: model.window, default=None)
        if best is not None and pattern not in taken:
            found[best.name] = pattern
    return found


def _size(name: str) -> str:
    plain = name.lower().rpartition("/")[2]
    for own in (_OPUS, _SONNET, _HAIKU):
        if own.strip("*") in plain:
            return own
    words = set(plain.replace("_", "-").replace(".", "-").replace(":", "-").split("-"))
    if words & _SMALL:
        return _HAIKU
    if words & _LARGE:
        return _OPUS
    billions = max((_billions(word) for word in words), default=0)
    if not billions:
        return _SONNET
    return _OPUS if billions >= _SMALLEST_LARGE else _SONNET if billions >= _SMALLEST_MIDDLE else _HAIKU


def _billions(word: str) -> int:
    number = word.removesuffix("b")
    return int(number) if number != word and number.isascii() and number.isdigit() and len(number) < 5 else 0
