"""Users and groups: Django's own pages in the console's style."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.contrib import admin
from django.contrib.auth import get_permission_codename
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, Permission, User
from django.http import HttpRequest
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from gateway.admin.oversight.person_page import PersonPage
from gateway.admin.oversight.personal_data import PersonalData
from gateway.admin.ui.base import (
    AdminPasswordChangeForm,
    Checkboxes,
    GatewayModelAdmin,
    UserChangeForm,
    UserCreationForm,
)
from gateway.admin.ui.html_format import time_column

admin.site.unregister(User)
admin.site.unregister(Group)

_ACTIONS: Final = {"add": _("add"), "change": _("change"), "delete": _("delete"), "view": _("view")}


def permission_words(permission: Permission) -> str:
    """A permission in the reader's language: `Providers: change`. Django stores English names only."""
    model = permission.content_type.model_class()
    for action, word in _ACTIONS.items():
        if model and permission.codename == get_permission_codename(action, model._meta):
            return f"{capfirst(model._meta.verbose_name_plural)}: {word}"
    return gettext(permission.name)


class PermissionsField(forms.ModelMultipleChoiceField):
    """Permissions, each named in the reader's language."""

    def label_from_instance(self, obj: Any) -> str:
        return permission_words(obj)


class _WithPermissions(admin.ModelAdmin):
    """Shows permissions and groups as checkboxes, not as two lists to move them between."""

    filter_horizontal = ()

    def formfield_for_manytomany(self, db_field: Any, request: Any = None, **options: Any) -> Any:
        if db_field.name in ("permissions", "user_permissions"):
            options["form_class"] = PermissionsField
        options.setdefault("widget", Checkboxes)
        return super().formfield_for_manytomany(db_field, request, **options)


@admin.register(User)
class PeopleAdmin(PersonPage, PersonalData, _WithPermissions, UserAdmin, GatewayModelAdmin):  # type: ignore[misc]
    """Who may log in. New users may: the console has no other use for an account."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = (
        "username", "full_name", "email", "group_names", "is_active", "is_superuser",
        time_column("last_login", _("last login")),
    )  # fmt: skip
    list_filter = ("is_active", "is_superuser", "groups")
    add_fieldsets = (
        (None, {"classes": ("wide",), "fields": ("username", "usable_password", "password1", "password2")}),
        (
            _("What they may do"),
            {
                "fields": ("is_staff", "groups"),
                "description": _(
                    "Whoever may log in and owns a client key sees that key, its usage and its requests. "
                    "Groups give more."
                ),
            },
        ),
    )

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).prefetch_related("groups")

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"is_staff": True, **super().get_changeform_initial_data(request)}

    @admin.display(description=_("name"))
    def full_name(self, user: User) -> str:
        return user.get_full_name() or "–"

    @admin.display(description=_("groups"))
    def group_names(self, user: User) -> str:
        return ", ".join(group.name for group in user.groups.all()) or "–"


@admin.register(Group)
class GroupsAdmin(_WithPermissions, GroupAdmin, GatewayModelAdmin):
    list_display = ("name", "members")

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).prefetch_related("user_set")

    @admin.display(description=_("members"))
    def members(self, group: Group) -> str:
        return ", ".join(user.get_username() for user in group.user_set.all()) or "–"
