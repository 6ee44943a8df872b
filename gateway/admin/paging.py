"""Pages of a big table without counting it."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Final

from django.core.paginator import Paginator

PAGES_AHEAD: Final = 5


class LookAheadPaginator(Paginator):
    """Looks only a few pages past the one that is shown; `count` is what is known to exist so far."""

    object_list: Any

    def __init__(self, queryset: Any, per_page: int, page: int) -> None:
        super().__init__(queryset, per_page)
        self.shown_page = max(1, page)

    @cached_property
    def count(self) -> int:
        start = (self.shown_page - 1) * self.per_page
        found = len(self.object_list.values_list("pk", flat=True)[start : start + self.reach])
        return start + found if found or self.shown_page == 1 else 0

    @property
    def reach(self) -> int:
        return self.per_page * PAGES_AHEAD + 1

    @property
    def more(self) -> bool:
        """Whether there may be more than `count`."""
        return self.count >= (self.shown_page - 1) * self.per_page + self.reach


def page_number(text: str) -> int:
    """The page of a query string; nonsense is the first page."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 8 else 1
