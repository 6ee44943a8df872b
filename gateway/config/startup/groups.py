"""The groups that a new installation has, and their rights.

A group is made once and then belongs to the admins. When an update brings new
permissions, those are given to the groups that would have them; what an admin
took away is not given back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Group, Permission

ADMINISTRATOR: Final = "Administrator"
OPERATOR: Final = "Operator"
AUDITOR: Final = "Auditor"
MEMBER: Final = "Member"

# codename parts of what an operator may change: how requests are served, not who may see them
_OPERATED: Final = (
    "provider", "providercredential", "modelmapping", "mappingtarget", "ramp", "shadow", "clientkey",
    "modelprice", "learntoption", "problem", "emergencystop",
)  # fmt: skip


def _administrator(app: str, codename: str) -> bool:
    return app in ("gateway", "auth") or (app == "admin" and codename == "view_logentry")


def _operator(app: str, codename: str) -> bool:
    action, _, model = codename.partition("_")
    if app != "gateway":
        return app == "admin" and codename == "view_logentry"
    if action == "assign":
        # owners read contents
        return False
    return model in _OPERATED or (action == "view" and model != "requestbody" and model != "contentread")


def _auditor(app: str, codename: str) -> bool:
    if app == "gateway":
        return codename.startswith("view_") or codename == "read_content"
    return app == "admin" and codename == "view_logentry"


def _member(app: str, codename: str) -> bool:
    return False


RIGHTS: Final[dict[str, Callable[[str, str], bool]]] = {
    ADMINISTRATOR: _administrator,
    OPERATOR: _operator,
    AUDITOR: _auditor,
    MEMBER: _member,
}


def ensure_groups(sender: Any, using: str, **options: Any) -> None:
    """After `migrate`, for each app: make the groups that are missing, hand out permissions that are new."""
    known = set(Permission.objects.values_list("pk", flat=True))
    create_permissions(sender, using=using, **{"verbosity": 0, **_passed_on(options)})
    every = list(Permission.objects.select_related("content_type"))
    for name, wanted in RIGHTS.items():
        group, made = Group.objects.get_or_create(name=name)
        group.permissions.add(
            *(
                permission
                for permission in every
                if (made or permission.pk not in known)
                and wanted(permission.content_type.app_label, permission.codename)
            )
        )


def _passed_on(options: dict[str, Any]) -> dict[str, Any]:
    return {name: options[name] for name in ("interactive", "apps") if name in options}
