"""EmergencyStop: the switch that refuses every new request, in all processes."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from gateway.models.base import ConfigRecord


class EmergencyStop(ConfigRecord):
    """One row. Running answers finish; `reason` is told to clients."""

    ROW: ClassVar[int] = 1

    engaged = models.BooleanField(
        _("refuse new requests"),
        default=False,
        help_text=_("Every process does so within two seconds. Answers that have begun finish."),
    )
    reason = models.CharField(
        _("reason"),
        max_length=200,
        blank=True,
        default="",
        help_text=_("Clients read it in the error. For example: back at 15:00."),
    )

    class Meta:
        verbose_name = _("emergency stop")
        verbose_name_plural = _("emergency stop")

    def __str__(self) -> str:
        return str(_("Emergency stop"))

    @classmethod
    def current(cls) -> EmergencyStop:
        """The row, or one that is off."""
        return cls.objects.filter(pk=cls.ROW).first() or cls(pk=cls.ROW)

    @classmethod
    def reason_now(cls) -> str | None:
        """Why requests are refused, "" for no words; None: they are not."""
        record = cls.current()
        return record.reason if record.engaged else None

    @classmethod
    def switch(cls, engaged: bool, reason: str = "") -> None:
        """Turn it on or off. Raises ValidationError for a reason that is too long."""
        record = cls.current()
        if (record.engaged, record.reason) != (engaged, reason):
            record.engaged, record.reason = engaged, reason
            record.full_clean()
            record.save()
