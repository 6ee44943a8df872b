"""What the pages of the console share. Only this module imports the theme (django-unfold).

Our pages extend Django's own admin templates and blocks, and static/gateway/gateway.css styles them with
class names of our own (`gw-`), so changing the theme means changing this module.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from django.contrib import admin
from django.core.exceptions import FieldDoesNotExist
from django.forms import Media
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.http import urlencode
from django.utils.text import capfirst
from unfold.admin import ModelAdmin, StackedInline, TabularInline
from unfold.contrib.filters.admin import (
    ChoicesDropdownFilter,
    DropdownFilter,
    RangeDateTimeFilter,
    RangeNumericFilter,
    RelatedDropdownFilter,
    TextFilter,
)
from unfold.dataclasses import SearchResult
from unfold.decorators import action
from unfold.forms import AdminPasswordChangeForm, AuthenticationForm, UserChangeForm, UserCreationForm
from unfold.views import ChangeList
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget as Checkboxes,
)
from unfold.widgets import (
    UnfoldAdminFileFieldWidget as FileInput,
)
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget as IntegerInput,
)
from unfold.widgets import (
    UnfoldAdminPasswordWidget as PasswordInput,
)
from unfold.widgets import (
    UnfoldAdminSelectMultipleWidget as SelectMultiple,
)
from unfold.widgets import (
    UnfoldAdminSelectWidget as Select,
)
from unfold.widgets import (
    UnfoldAdminSplitDateTimeWidget as DateTimeInput,
)
from unfold.widgets import (
    UnfoldAdminTextareaWidget as Textarea,
)
from unfold.widgets import (
    UnfoldAdminTextInputWidget as TextInput,
)
from unfold.widgets import (
    UnfoldBooleanSwitchWidget as Switch,
)

from gateway.admin.media_seam import without_scripts
from gateway.admin.ui import navigation
from gateway.admin.ui.record_stamp import stamp_of, stamped
from gateway.config.changes import say
from gateway.models import ConfigRecord

__all__ = [
    "AdminPasswordChangeForm",
    "AuthenticationForm",
    "ChangeList",
    "Checkboxes",
    "ChoicesDropdownFilter",
    "DateTimeInput",
    "DropdownFilter",
    "EmptyState",
    "FileInput",
    "GatewayModelAdmin",
    "IntegerInput",
    "PasswordInput",
    "RangeDateTimeFilter",
    "RangeNumericFilter",
    "ReadOnlyAdmin",
    "RelatedDropdownFilter",
    "SearchResult",
    "Select",
    "SelectMultiple",
    "StackedInline",
    "Switch",
    "TabularInline",
    "TextFilter",
    "TextInput",
    "Textarea",
    "UserChangeForm",
    "UserCreationForm",
    "action",
]


# the comparisons of filters; `id` is that of a related record
_COMPARISONS: Final = frozenset({"id", "exact", "in", "isnull", "gt", "gte", "lt", "lte"})


# scripts for `prepopulated_fields`
_FILLING: Final = ("/prepopulate.js", "/urlify.js", "/xregexp.js", "/xregexp.min.js")


@dataclass(frozen=True)
class EmptyState:
    """What an empty list says: `title`, a sentence about what to do next, and links for it.

    `links` are pairs of a URL name (for reverse, without arguments) and a label. They are shown to every
    reader of the list, so name only pages that take the same rights.
    """

    title: str | Promise
    text: str | Promise
    links: tuple[tuple[str, str | Promise], ...] = ()


class GatewayModelAdmin(ModelAdmin):
    """The base of every page of ours."""

    show_facets = admin.ShowFacets.NEVER
    # our lists are wide, so they use the full width
    list_fullwidth = True
    warn_unsaved_form = True
    # shown if there are no rows at all, not if filters exclude them
    empty_state: ClassVar[EmptyState | None] = None
    # whether the filters are in a bar above the list (templatetags/console.py)
    filters_in_bar: ClassVar[bool] = False
    # fields that links from other pages filter by, besides those of the list's filters
    lookups: ClassVar[tuple[str, ...]] = ()

    # puts a stamp of the stored record into the form
    change_form_before_template = "admin/gateway/record_stamp.html"

    @property
    def media(self) -> Media:
        """Without Django's scripts that fill one field from another (200 KB), which our forms do not do."""
        whole: Media = super().media
        if self.prepopulated_fields:
            return whole
        return without_scripts(whole, _FILLING)

    def get_form(
        self, request: HttpRequest, obj: Any | None = None, change: bool = False, **options: Any
    ) -> Any:
        """A form for a configuration record, which refuses to overwrite what somebody changed meanwhile."""
        form = super().get_form(request, obj, change=change, **options)
        if not (change and isinstance(obj, ConfigRecord)):
            return form
        return stamped(form, obj, self.get_inline_instances(request, obj))

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **options: Any
    ) -> HttpResponse:
        obj = options.get("obj")
        if isinstance(obj, ConfigRecord):
            context["record_stamp"] = stamp_of(obj, self.get_inline_instances(request, obj))
        response: HttpResponse = super().render_change_form(request, context, *args, **options)
        return response

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        # Django's title is an instruction; the browser's tab should name the page
        place = navigation.place_of(request.path)
        title = capfirst(self.opts.verbose_name_plural) if place is None else place.title
        context = {"title": title, **(extra_context or {})}
        response: HttpResponse = super().changelist_view(request, context)
        return response

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Allow only the lookups that the page's own filters use.

        Django allows any comparison of any field: from whether the list has a row, the digest of a key or an
        encrypted secret could be read letter by letter.
        """
        if not super().lookup_allowed(lookup, value, request):
            return False
        name, *_more = lookup.split("__")
        try:
            self.opts.get_field(name)
        except FieldDoesNotExist:
            # the parameter of one of our filters, or unknown
            return name != "pk"
        return any(_asks_of(lookup, good) for good in (*self._filtered_fields(request), *self.lookups))

    def _filtered_fields(self, request: HttpRequest) -> Iterator[str]:
        for entry in self.get_list_filter(request):
            first = entry[0] if isinstance(entry, tuple | list) else entry
            yield first if isinstance(first, str) else getattr(first, "parameter_name", None) or ""

    def may_set(self, request: HttpRequest, attname: str) -> bool:
        """Whether the user has the right that this field takes in addition to changing the record."""
        right = getattr(self.model, "field_rights", {}).get(attname)
        return right is None or request.user.has_perm(right)

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The log of changes of the record, with undo, for users who may see it."""
        record = self.get_object(request, object_id)
        if record is None or not request.user.has_perm("admin.view_logentry"):
            response: HttpResponse = super().history_view(request, object_id, extra_context)
            return response
        query = urlencode({"record": f"{self.opts.label_lower}:{record.pk}"})
        return HttpResponseRedirect(f"{reverse('admin:admin_logentry_changelist')}?{query}")

    def page_name(self, page: str) -> str:
        """The URL name of a page of this record, for reverse()."""
        return f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_{page}"

    def page_context(self, request: HttpRequest, title: Any, **more: Any) -> dict[str, Any]:
        """The context of a page of our own that extends admin/base_site.html."""
        return {
            **self.admin_site.each_context(request),
            "title": title,
            "own_title": title,
            "opts": self.opts,
            "model_admin": self,
            **more,
        }

    def own_page_context(self, request: HttpRequest, title: Any, **more: Any) -> dict[str, Any]:
        """The same for a page whose heading names the page itself instead of a kind of record."""
        of_itself = {"opts": None, "model_admin": None, "own_title": "", "content_title": title}
        return self.page_context(request, title, **{**of_itself, **more})

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """Django's, except for an id with a NUL, which PostgreSQL refuses and no record has."""
        return None if "\x00" in object_id else super().get_object(request, object_id, from_field)

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Django's entry, unless config/changes.py has made one, which then gets our sentence."""
        return super().log_addition(request, obj, message) if _is_news(obj, message) else None

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        return super().log_change(request, obj, message) if _is_news(obj, message) else None

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        # config/changes.py logs deletions of configuration records
        return None if issubclass(self.model, ConfigRecord) else super().log_deletions(request, queryset)


def _is_news(obj: Any, message: Any) -> bool:
    """Whether the log needs another entry: there is something to say, and no entry yet to add it to."""
    if isinstance(message, str):
        return not say(obj, message)
    # saving a record unchanged is not a change
    return bool(message) and not isinstance(obj, ConfigRecord)


def _asks_of(lookup: str, field: str) -> bool:
    """Whether a lookup compares this field in the way of a filter, and does not reach through it."""
    return lookup == field or (
        lookup.startswith(f"{field}__") and _COMPARISONS.issuperset(lookup[len(field) + 2 :].split("__"))
    )


class ReadOnlyAdmin(GatewayModelAdmin):
    """Records that cannot be edited here."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
