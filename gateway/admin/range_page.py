"""Pages of figures over a time range: costs, caching, models. Each stands in for the list of its records."""

from __future__ import annotations

from typing import Any, ClassVar

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from gateway.admin.ui import time_range, time_zone
from gateway.admin.ui.base import ReadOnlyAdmin


class RangePage(ReadOnlyAdmin):
    """The page of the records' list shows `report` instead, over the range in its address."""

    # names of time_range.NAMED that are offered, and the one without a choice
    ranges: ClassVar[tuple[str, ...]]
    default_range: ClassVar[str]
    # what `?format=` takes
    formats: ClassVar[tuple[str, ...]] = ("csv", "json")

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        span = time_range.chosen(request, self.default_range)
        assert span is not None
        asked = request.GET.get("format", "")
        return self.report(request, span, asked if asked in self.formats else "")

    def report(self, request: HttpRequest, span: time_range.TimeRange, form: str) -> HttpResponse:
        """The figures of `span` as one of `formats`, or as the page when `form` is empty."""
        raise NotImplementedError

    def range_context(
        self, request: HttpRequest, title: Any, span: time_range.TimeRange, **more: Any
    ) -> dict[str, Any]:
        """The context of the page: its title, and what the bar of ranges, zones and files needs."""
        rest = request.GET.copy()
        files = []
        for name in self.formats:
            rest["format"] = name
            files.append((name.upper(), rest.urlencode()))
        return self.own_page_context(
            request,
            title,
            span=span,
            ranges=time_range.choices(request, self.ranges, self.default_range),
            files=files,
            zone=str(timezone.get_current_timezone()),
            zones=time_zone.names(),
            **more,
        )
