"""Who did what: Django's log with before, after and undo."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.models import ADDITION, DELETION, LogEntry
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import NoReverseMatch, URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from gateway.admin.ui.base import ReadOnlyAdmin
from gateway.admin.ui.html_format import time_column
from gateway.admin.ui.sanitize import inert
from gateway.config.changes import SECRET, CannotUndo, acting, source_of, undo, undone_by, values_of
from gateway.models import ClientKey, ConfigRecord, Origin

# one word for it, in the sidebar and on the page
LogEntry._meta.verbose_name = pgettext_lazy("noun", "change")
LogEntry._meta.verbose_name_plural = gettext_lazy("changes")

_SOURCES = {
    "command": gettext_lazy("a command"),
    "environment": gettext_lazy("the environment"),
    "file": gettext_lazy("the configuration file"),
    "learnt": gettext_lazy("a provider's refusal"),
}


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
    list_filter = ("action_flag", "content_type", "user", "action_time")
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
                rows=[
                    (_field_name(entry, name), _text(before), _text(after), before == after == SECRET)
                    for name, (before, after) in values_of(entry).items()
                    # a new record has many fields with nothing in them
                    if before or after or before != after
                ],
                said=(
                    _("This undid change %(number)d.") % {"number": undone_by(entry)}
                    if undone_by(entry)
                    else inert(entry.get_change_message())
                ),
                record_url=_record_url(entry),
                may_undo=bool(values_of(entry)) and self._may_undo(request, entry),
                title=_("Change"),
            )
        response: HttpResponse = super().change_view(request, object_id, form_url, context)
        return response

    def _may_undo(self, request: HttpRequest, entry: LogEntry) -> bool:
        """What the page of the record would let this user do, it may undo."""
        model = entry.content_type.model_class() if entry.content_type else None
        if model is None or not issubclass(model, ConfigRecord):
            return False
        values = values_of(entry)
        if any(
            not request.user.has_perm(model.field_rights[name])
            for name in values
            if name in model.field_rights
        ):
            return False
        record = model._base_manager.filter(pk=entry.object_id).first()
        if record is None:
            kept_by = [values[name][0] for name in ("origin",) if name in values]
            # one that the environment or the demo kept comes back by them, or not
            return kept_by in ([], [Origin.ADMIN]) and self._has_right(request, model, "add", values=values)
        if entry.action_flag == ADDITION and not issubclass(model, ClientKey):
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
        # a row of another record's page is changed there
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
        return {ADDITION: _("added"), DELETION: _("removed")}.get(entry.action_flag, _("changed"))

    @admin.display(description=gettext_lazy("kind"), ordering="content_type")
    def kind(self, entry: LogEntry) -> str:
        return entry.content_type.name if entry.content_type else ""

    @admin.display(description=gettext_lazy("record"), ordering="object_repr")
    def record(self, entry: LogEntry) -> str:
        return inert(entry.object_repr)

    @admin.display(description=gettext_lazy("what"))
    def summary(self, entry: LogEntry) -> str:
        values = values_of(entry)
        if undone_by(entry):
            return _("undid change %(number)d") % {"number": undone_by(entry)}
        if not values or entry.action_flag in (ADDITION, DELETION):
            return inert(entry.get_change_message()) if entry.action_flag not in (ADDITION, DELETION) else ""
        name, (before, after) = next(iter(values.items()))
        text = f"{_field_name(entry, name)}: {_text(before)[:40]} → {_text(after)[:40]}"
        return inert(f"{text} (+{len(values) - 1})" if len(values) > 1 else text)


def _record_url(entry: LogEntry) -> str:
    try:
        return "" if entry.action_flag == DELETION else entry.get_admin_url() or ""
    except NoReverseMatch:
        return ""


def _field_name(entry: LogEntry, name: str) -> str:
    model = entry.content_type.model_class() if entry.content_type else None
    fields = model._meta.concrete_fields if model else ()
    return str(next((field.verbose_name for field in fields if field.attname == name), name))


def _text(value: Any) -> str:
    if value is None or value == "":
        return "–"
    return inert(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1))
