"""Pages of a large table without counting its rows."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Final

from django.core.paginator import Paginator
from django.http import HttpRequest

from gateway.admin.ui.base import ChangeList

PAGES_AHEAD: Final = 5


class LookAheadPaginator(Paginator):
    """Looks only a few pages ahead; `count` is the number of rows known to exist so far.

    A page past the end becomes the first page.
    """

    object_list: Any

    def __init__(self, queryset: Any, per_page: int, page: int) -> None:
        super().__init__(queryset, per_page)
        self._wanted = max(1, page)

    @cached_property
    def _found(self) -> tuple[int, list[Any]]:
        """The number of the page, and the primary keys from its first row on."""
        for page in (self._wanted, 1):
            start = (page - 1) * self.per_page
            keys = list(self.object_list.values_list("pk", flat=True)[start : start + self.reach])
            if keys or page == 1:
                break
        return page, keys

    @property
    def shown_page(self) -> int:
        return self._found[0]

    @property
    def shown_rows(self) -> Any:
        """The rows of the page, in order, looked up by primary key alone.

        With the filters in the query, SQLite would use the index of a filter.
        """
        rows = self.object_list.model._default_manager.filter(pk__in=self._found[1][: self.per_page])
        return rows.order_by(*self.object_list.query.order_by)

    @cached_property
    def count(self) -> int:
        page, keys = self._found
        return (page - 1) * self.per_page + len(keys)

    @property
    def reach(self) -> int:
        return self.per_page * PAGES_AHEAD + 1

    @property
    def more(self) -> bool:
        """Whether there may be more than `count` rows."""
        return self.count >= (self.shown_page - 1) * self.per_page + self.reach


class LookAheadList(ChangeList):
    """A list with that paginator; Django's would query the rows of the page twice."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if self.model_admin.filters_in_bar:
            # the theme's drawer would repeat each choice
            self.has_filters = False

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = self.paginator.shown_rows
        self.page_num = self.paginator.shown_page


def page_number(text: str) -> int:
    """The page number in a query string; 1 if it is not a number."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 8 else 1
