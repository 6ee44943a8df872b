"""What an error is about besides its status, by the codes and the words that providers use for it.

Codes and wordings are data: `kinds` of refusal_patterns.json beside this file, each wording with its source.

See docs/conversion.md, "Errors of providers".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gateway.conversion.errors.error_body import ErrorBody
from gateway.conversion.errors.overflow import compiled_wordings, wordings


class ErrorKind:
    """One kind of error.

    `codes`: whole codes and types, in lower case; a code of MiniMax's base_resp is `base_resp.1026`.
    """

    def __init__(self, entry: Mapping[str, Any]) -> None:
        self.codes: Final = frozenset(entry["codes"])
        self._parts: Final[tuple[str, ...]] = tuple(entry.get("parts", ()))
        self._wordings: Final = compiled_wordings(entry.get("wordings", ()))
        self._never: Final = compiled_wordings(entry.get("never", ()))

    def has_code(self, told: ErrorBody) -> bool:
        """Whether one of the error's codes or types names this kind."""
        if told.words & self.codes:
            return True
        return any(part in word for word in told.words for part in self._parts)

    def is_told(self, told: ErrorBody) -> bool:
        """Whether a code, or the provider's sentence without what it echoes, names this kind."""
        if self.has_code(told):
            return True
        if any(pattern.search(text) for text in told.texts for pattern in self._never):
            return False
        return any(pattern.search(text) for text in told.texts for pattern in self._wordings)


_KINDS: Final[Mapping[str, Any]] = wordings()["kinds"]

CONTENT_FILTER: Final = ErrorKind(_KINDS["content_filter"])
NO_MONEY: Final = ErrorKind(_KINDS["no_money"])
OVERLOADED: Final = ErrorKind(_KINDS["overloaded"])
