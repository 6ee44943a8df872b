"""Who did what: Django's log with before, after and undo."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from django.apps import apps
from django.contrib import admin, messages
from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import NoReverseMatch, URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from gateway.admin.ui.base import ReadOnlyAdmin
from gateway.admin.ui.html_format import time_column
from gateway.admin.ui.list_filters import ParameterFilter
from gateway.admin.ui.sanitize import inert
from gateway.config.change_entries import RecordChange, changes_of, said_of, source_of, undone_by
from gateway.config.changes import acting
from gateway.config.field_values import SECRET
from gateway.config.undoing import CannotUndo, undo, undoable
from gateway.models import ClientKey, ConfigRecord, Origin

# one word for the sidebar and the page
LogEntry._meta.verbose_name = pgettext_lazy("noun", "change")
LogEntry._meta.verbose_name_plural = gettext_lazy("changes")

# changes that a row of the list names, before `and N more`
_MOST_LINES = 2
_SOURCES = {
    "command": gettext_lazy("a command"),
    "environment": gettext_lazy("the environment"),
    "file": gettext_lazy("the configuration file"),
    "learnt": gettext_lazy("a provider's refusal"),
    "ramp": gettext_lazy("a ramp"),
}


class OfRecord(ParameterFilter):
    """`record=gateway.provider:3`: entries about one record, also those about several at once."""

    title = gettext_lazy("record")
    parameter_name = "record"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        value = request.GET.get(self.parameter_name, "")
        # a record that the reader may not see is named as in the address
        name = _name_of(request, model_admin.admin_site, *_record_of(value)) or value
        return [(value, inert(name[:100]))] if value else []

    def condition(self, value: str) -> Q | None:
        model, pk = _record_of(value)
        if model is None:
            return Q(pk=None)
        kind = ContentType.objects.get_for_model(model)
        # as config/change_entries.py writes the parts of an entry
        part = f'"model": "{model._meta.label_lower}", "pk": "{pk}"'
        return Q(content_type=kind, object_id=pk) | Q(change_message__contains=part)


def _record_of(value: str) -> tuple[Any, str]:
    """The model and the primary key that a value names; (None, "") for none.

    Only records of the configuration and records with a page have changes.
    """
    label, _colon, pk = value.partition(":")
    try:
        model = apps.get_model(label)
        if "\x00" in pk or not (issubclass(model, ConfigRecord) or admin.site.is_registered(model)):
            return None, ""
        return model, str(model._meta.pk.to_python(pk))
    except (LookupError, ValueError, ValidationError):
        return None, ""


def _name_of(request: HttpRequest, site: admin.AdminSite, model: Any, pk: str) -> str:
    """The name of the record, or "" for a reader who may not see it."""
    if model is None:
        return ""
    if site.is_registered(model):
        pages: Any = site.get_model_admin(model)
        record = pages.get_object(request, pk)
        visible = record is not None and pages.has_view_permission(request, record)
    else:
        record = model._base_manager.filter(pk=pk).first()
        visible = request.user.has_perm(f"{model._meta.app_label}.view_{model._meta.model_name}")
    return str(record) if record is not None and visible else ""


@admin.register(LogEntry)
class ChangeAdmin(ReadOnlyAdmin):
    change_form_template = "admin/gateway/logentry/change_form.html"
    list_display = (
        time_column("action_time", gettext_lazy("when")),
        "by",
        "action",
        "kind",
        "record",
        "summary",
    )
    list_filter = (OfRecord, "action_flag", "content_type", "user", "action_time")
    list_select_related = ("user", "content_type")
    search_fields = ("object_repr", "change_message")
    show_full_result_count = False
    list_per_page = 50

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.undo_view)
        return [path("<int:pk>/undo/", view, name="admin_logentry_undo"), *super().get_urls()]

    def undo_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """POST only: give the record the values from before."""
        entry = self.get_object(request, str(pk))
        if request.method == "POST" and entry is not None and self._may_undo(request, entry):
            try:
                with transaction.atomic(), acting(request.user, undone=entry.pk):
                    said = undo(entry)
                self.message_user(request, said, messages.SUCCESS)
            except CannotUndo as problem:
                self.message_user(request, str(problem), messages.ERROR)
            except ValidationError as problem:
                text = _("It would not be valid now: %(problem)s") % {"problem": " ".join(problem.messages)}
                self.message_user(request, text, messages.ERROR)
        return HttpResponseRedirect(reverse("admin:admin_logentry_change", args=[pk]))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        entry = self.get_object(request, object_id)
        context = dict(extra_context or {})
        if entry is not None:
            context.update(
                entry=entry,
                by=self.by(entry),
                action=self.action(entry),
                changes=[
                    (
                        f"{change.model._meta.verbose_name} {inert(change.title)}" if change.is_part else "",
                        _verb(change.flag),
                        list(_rows(change)),
                    )
                    for change in changes_of(entry)
                ],
                said=_said(entry),
                record_url=_record_url(entry),
                may_undo=self._may_undo(request, entry),
                title=_("Change"),
            )
        response: HttpResponse = super().change_view(request, object_id, form_url, context)
        return response

    def _may_undo(self, request: HttpRequest, entry: LogEntry) -> bool:
        """Whether the records' own pages would let the user make these changes."""
        changes = undoable(entry)
        if not changes:
            return False
        if not changes[0].is_part and changes[0].flag == DELETION:
            # records that were deleted along with another are restored along with it
            changes = changes[:1]
        return all(self._may_undo_change(request, change) for change in changes)

    def _may_undo_change(self, request: HttpRequest, change: RecordChange) -> bool:
        model, values = change.model, change.values
        if any(
            not request.user.has_perm(model.field_rights[name])
            for name in values
            if name in model.field_rights
        ):
            return False
        record = model._base_manager.filter(pk=change.pk).first()
        if record is None:
            kept_by = [values[name][0] for name in ("origin",) if name in values]
            # the environment or the demo restores its own records, or does not
            return kept_by in ([], [Origin.ADMIN]) and self._has_right(request, model, "add", values=values)
        if change.flag == ADDITION and not issubclass(model, ClientKey):
            return self._has_right(request, model, "delete", record)
        return self._has_right(request, model, "change", record)

    def _has_right(
        self,
        request: HttpRequest,
        model: type[ConfigRecord],
        action: str,
        record: Any = None,
        values: Mapping[str, Any] | None = None,
    ) -> bool:
        right = f"{model._meta.app_label}.{action}_{model._meta.model_name}"
        if not request.user.has_perm(right):
            return False
        # a row of another record's page is edited there
        page: Any = model
        owner = record
        if model.edited_with:
            page = model._meta.get_field(model.edited_with).related_model
            stood_at = f"{model.edited_with}_id"
            pk = (values or {}).get(stood_at, [None])[0] if record is None else getattr(record, stood_at)
            owner = page._base_manager.filter(pk=pk).first()
            if owner is None:
                return False
            action = "change"
        pages: Any = self.admin_site.get_model_admin(page) if self.admin_site.is_registered(page) else None
        if pages is None:
            return True
        if action == "add":
            return bool(pages.has_add_permission(request))
        return bool(getattr(pages, f"has_{action}_permission")(request, owner))

    @admin.display(description=gettext_lazy("by"), ordering="user")
    def by(self, entry: LogEntry) -> str:
        source = source_of(entry)
        return str(_SOURCES.get(source, source)) if source else entry.user.get_username()

    @admin.display(description=gettext_lazy("did"), ordering="action_flag")
    def action(self, entry: LogEntry) -> str:
        return _verb(entry.action_flag)

    @admin.display(description=gettext_lazy("kind"), ordering="content_type")
    def kind(self, entry: LogEntry) -> str:
        return entry.content_type.name if entry.content_type else ""

    @admin.display(description=gettext_lazy("record"), ordering="object_repr")
    def record(self, entry: LogEntry) -> str:
        return inert(entry.object_repr)

    @admin.display(description=gettext_lazy("what"))
    def summary(self, entry: LogEntry) -> str:
        if undone_by(entry) or said_of(entry):
            return _said(entry)
        changes = changes_of(entry)
        if not changes or entry.action_flag in (ADDITION, DELETION):
            return "" if entry.action_flag in (ADDITION, DELETION) else inert(entry.get_change_message())
        lines = [line for change in changes for line in _short_lines(change)]
        more = f" (+{len(lines) - _MOST_LINES})" if len(lines) > _MOST_LINES else ""
        return inert("; ".join(lines[:_MOST_LINES]) + more)


def _verb(flag: int) -> str:
    return {ADDITION: _("added"), DELETION: _("removed")}.get(flag, _("changed"))


def _said(entry: LogEntry) -> str:
    """The sentence about an entry, unless its values say the same."""
    if undone_by(entry):
        return _("undid change %(number)d") % {"number": undone_by(entry)}
    return inert(said_of(entry) or ("" if changes_of(entry) else entry.get_change_message()))


def _short_lines(change: RecordChange) -> list[str]:
    """What became of a record, in few words; a part also names its record."""
    name = f"{change.title}: " if change.is_part else ""
    if change.flag != CHANGE:
        return [f"{name}{_verb(change.flag)}"]
    return [
        f"{name}{field}: {_text(before)[:40]} → {_text(after)[:40]}"
        for field, before, after, _secret in _rows(change)
    ]


def _rows(change: RecordChange) -> Iterator[tuple[str, str, str, bool]]:
    """Field, before, after, and whether it is a secret that was changed."""
    for name, (before, after) in change.values.items():
        # a new record has many empty fields
        if before or after or before != after:
            field = next((one for one in change.model._meta.concrete_fields if one.attname == name), None)
            old, new = (_named(field, value) for value in (before, after))
            label = str(field.verbose_name) if field is not None else name
            yield label, _text(old), _text(new), before == after == SECRET


def _named(field: Any, value: Any) -> Any:
    """The name of the record to which a value refers, else the value."""
    if value is None or not getattr(field, "many_to_one", False):
        return value
    record = field.related_model._base_manager.filter(pk=value).first()
    return f"#{value}" if record is None else str(record)


def _record_url(entry: LogEntry) -> str:
    try:
        return "" if entry.action_flag == DELETION else entry.get_admin_url() or ""
    except NoReverseMatch:
        return ""


def _text(value: Any) -> str:
    if value is None or value == "":
        return "–"
    return inert(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1))
