"""SavedView: a list with its filters, kept under a name."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class SavedView(models.Model):
    """What somebody looks for again and again. `page`: whose list; `query`: its address behind the `?`.

    `shared`: everybody who may see the list sees the view.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    page = models.CharField(max_length=40)
    name = models.CharField(_("name"), max_length=80)
    query = models.CharField(max_length=1000, blank=True, default="")
    shared = models.BooleanField(_("shared"), default=False)

    class Meta:
        # no page has these records, and nobody is given rights over them
        default_permissions = ()
        ordering: ClassVar[list[str]] = ["name", "pk"]
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(fields=["user", "page", "name"], name="view_named_once")
        ]

    def __str__(self) -> str:
        return self.name
