"""Passwords of people that are guessed within hours, because they leaked or are made as leaked ones are.

The only module that imports zxcvbn, whose lists have 30,000 leaked passwords, names and words, and which
knows the usual changes to them: digits behind, letters replaced, rows of keys, repeats.
"""

from __future__ import annotations

from typing import Any, Final

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from zxcvbn import zxcvbn

# zxcvbn's scale of 0 to 4: 3 is more than 10^8 guesses, which a slow hash makes years
LEAST_SCORE: Final = 3
# What is behind is not looked at: the time grows with the square of the length.
LOOKED_AT: Final = 64


class GuessablePasswordValidator:
    """One of settings.AUTH_PASSWORD_VALIDATORS."""

    def validate(self, password: str, user: Any = None) -> None:
        """Raises ValidationError for a password that is guessed soon, also from who the user is."""
        known = ["ccproxy"]
        for name in ("username", "first_name", "last_name", "email"):
            known += filter(None, [getattr(user, name, "")])
        if zxcvbn(password[:LOOKED_AT], user_inputs=known)["score"] < LEAST_SCORE:
            raise ValidationError(
                _("This password is like many that have leaked, and would be guessed soon."), code="guessable"
            )

    def get_help_text(self) -> str:
        return _("Your password must not be like one that has leaked: four unrelated words are a good one.")
