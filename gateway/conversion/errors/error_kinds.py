"""What an error is about besides its status, by the codes and the words that providers use for it.

Codes and wordings are data: `kinds` of refusal_patterns.json beside this file, each wording with its source.

See docs/conversion.md, "Errors of providers".
"""

from __future__ import annotations

from typing import Final

from gateway.conversion.errors.error_body import ErrorBody
from gateway.conversion.errors.overflow import compiled_wordings, wordings


class ErrorKind:
    """One kind of error, by its name in refusal_patterns.json.

    `codes`: whole codes and types, in lower case; a code of MiniMax's base_resp is `base_resp.1026`.
    """

    def __init__(self, name: str) -> None:
        entry = wordings()["kinds"][name]
        self.codes: Final = frozenset(entry["codes"])
        self._parts: Final[tuple[str, ...]] = tuple(entry.get("parts", ()))
        self._wordings: Final = compiled_wordings(entry.get("wordings", ()))
        self._never: Final = compiled_wordings(entry.get("never", ()))
        self._despite_code: Final = compiled_wordings(entry.get("despite_code", ()))

    def has_code(self, told: ErrorBody) -> bool:
        """Whether one of the error's codes or types names this kind, and its sentence nothing else."""
        named = told.words & self.codes or any(part in word for word in told.words for part in self._parts)
        return bool(named) and not any(
            pattern.search(text) for text in told.texts for pattern in self._despite_code
        )

    def is_told(self, told: ErrorBody) -> bool:
        """Whether a code, or the provider's sentence without what it echoes, names this kind."""
        if self.has_code(told):
            return True
        never = (*self._never, *self._despite_code)
        if any(pattern.search(text) for text in told.texts for pattern in never):
            return False
        return any(pattern.search(text) for text in told.texts for pattern in self._wordings)

    def is_the_sentence(self, told: ErrorBody) -> bool:
        """Whether a code, or the error's own sentence, names this kind, whatever stands beside them."""
        return self.has_code(told) or any(pattern.search(told.message) for pattern in self._wordings)


CONTENT_FILTER: Final = ErrorKind("content_filter")
NO_MONEY: Final = ErrorKind("no_money")
BAD_CREDENTIAL: Final = ErrorKind("bad_credential")
NO_MODEL: Final = ErrorKind("no_model")
OVERLOADED: Final = ErrorKind("overloaded")
