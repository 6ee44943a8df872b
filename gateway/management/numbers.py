"""Numbers as people type them in commands."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Callable
from typing import Final

from django.utils.translation import gettext as _

# a hundred years
MOST_DAYS: Final = 36_500
MOST_HOURS: Final = MOST_DAYS * 24
# a column of the database that counts rows holds it
MOST: Final = 2**31 - 1


def whole(least: int, most: int = MOST) -> Callable[[str], int]:
    """The type of an argument that takes the whole numbers from `least` to `most`."""

    def number(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if not least <= value <= most:
            raise ArgumentTypeError(
                _("%(text)s is no whole number from %(least)d to %(most)d")
                % {"text": text[:40], "least": least, "most": most}
            )
        return value

    return number
