"""Who reads what, how long what is kept, and which secrets are masked."""

from __future__ import annotations

from typing import Final

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from gateway.models.base import ConfigRecord
from gateway.models.configuration.client_key import ClientKey
from gateway.patterns.linear import EngineMissing, NotLinear
from gateway.patterns.trial import LONGEST_TRIAL, TooSlow, check_speed, matches_empty


class ContentRead(models.Model):
    """One read of a request's content; gateway/history/access.py writes it before the content is shown."""

    at = models.DateTimeField(_("when"), auto_now_add=True, db_index=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.SET_NULL,
        related_name="content_reads",
        verbose_name=_("user"),
    )
    user_name = models.CharField(_("who"), max_length=150)
    request_id = models.CharField(_("request id"), max_length=64, db_index=True)
    part = models.CharField(_("what"), max_length=40)

    class Meta:
        ordering = ["-at", "-pk"]
        verbose_name = _("read of content")
        verbose_name_plural = _("reads of content")

    def __str__(self) -> str:
        return f"{self.user_name}: {self.part} of {self.request_id}"


class LegalHold(ConfigRecord):
    """The content of a key's requests, or of a session, is kept until the hold is removed.

    A key stands for its whole lineage of rotated keys. With both, only this key's part of the session
    is held: clients choose their session ids, so another client may use the same one.
    """

    client_key = models.ForeignKey(
        ClientKey,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="holds",
        verbose_name=_("client key"),
    )
    session_id = models.CharField(
        _("session id"),
        max_length=128,
        blank=True,
        default="",
        db_index=True,
        help_text=_("With a client key: this session of that key. Alone: of everybody who sent this id."),
    )
    reason = models.CharField(_("reason"), max_length=500, help_text=_("Who asked for it, and why."))
    created = models.DateTimeField(_("since"), auto_now_add=True)

    class Meta:
        ordering = ["-created"]
        verbose_name = _("legal hold")
        verbose_name_plural = _("legal holds")
        constraints = [
            models.CheckConstraint(
                condition=Q(client_key__isnull=False) | ~Q(session_id=""), name="hold_of_something"
            )
        ]

    def __str__(self) -> str:
        return " / ".join(filter(None, (self.session_id, str(self.client_key or ""))))

    def clean(self) -> None:
        super().clean()
        if self.client_key is None and not self.session_id:
            raise ValidationError(_("Choose a client key, or enter a session id, or both."))


# a hundred years: later than that, dates of the past would have no year
_DAYS: Final = (MinValueValidator(1), MaxValueValidator(36_500))


class Retention(ConfigRecord):
    """How long the history is kept; one row. Empty: for ever.

    `lease_until` is not used any more: a purge takes a Lease. The column stays while processes of the version
    before may run beside this one.
    """

    ROW = 1
    stampless_fields = frozenset({"lease_until"})

    body_days = models.PositiveIntegerField(
        _("days of content"),
        null=True,
        blank=True,
        validators=_DAYS,
        help_text=_("Conversations and answers. Empty: for ever."),
    )
    row_days = models.PositiveIntegerField(
        _("days of requests"),
        null=True,
        blank=True,
        validators=_DAYS,
        help_text=_("The rows of the history, with all their content. Empty: for ever."),
    )
    total_days = models.PositiveIntegerField(
        _("days of hourly totals"),
        null=True,
        blank=True,
        validators=_DAYS,
        help_text=_("The numbers of the dashboard. Empty: for ever."),
    )
    lease_until = models.DateTimeField(_("lease until"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("retention")
        verbose_name_plural = _("retention")

    def __str__(self) -> str:
        return str(_("Retention"))

    def clean(self) -> None:
        super().clean()
        if self.total_days and (self.row_days is None or self.total_days < self.row_days):
            raise ValidationError(
                {"total_days": _("The totals must be kept at least as long as the requests.")}
            )

    @classmethod
    def current(cls) -> Retention:
        """The row, or one that keeps everything."""
        return cls.objects.filter(pk=cls.ROW).first() or cls(pk=cls.ROW)


class PurgeRun(models.Model):
    """What one purge removed."""

    started_at = models.DateTimeField(_("started"), db_index=True)
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)
    bodies = models.PositiveIntegerField(_("contents"), default=0)
    rows = models.PositiveIntegerField(_("requests"), default=0)
    totals = models.PositiveIntegerField(_("hourly totals"), default=0)
    pieces = models.PositiveIntegerField(_("pieces"), default=0)
    rows_before = models.DateTimeField(_("requests removed from before"), null=True, blank=True)
    problem = models.CharField(_("problem"), max_length=500, blank=True, default="")

    class Meta:
        ordering = ["-started_at"]
        verbose_name = _("purge")
        verbose_name_plural = _("purges")

    def __str__(self) -> str:
        return f"{self.started_at:%Y-%m-%d %H:%M}"


class Erasure(models.Model):
    """That a person was to be erased, and how far it has come (gateway/personal_data/erasure.py).

    `user_pk`: the account, which stays without its name. `held`: requests that a legal hold kept at the last
    look. `changed_at`: when the last of it was removed; `unnamed_at`: since when the name is gone.
    """

    user_pk = models.BigIntegerField(db_index=True)
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    asked_at = models.DateTimeField()
    requests = models.PositiveIntegerField(default=0)
    contents = models.PositiveIntegerField(default=0)
    held = models.PositiveIntegerField(default=0)
    changed_at = models.DateTimeField(null=True, blank=True)
    unnamed_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        # the page of the person shows them; they are nobody's to edit
        default_permissions = ("view",)
        ordering = ["-asked_at", "-pk"]
        verbose_name = _("erasure")
        verbose_name_plural = _("erasures")
        permissions = [
            ("export_person", gettext_noop("Can export what is kept of a person")),
            ("erase_person", gettext_noop("Can erase a person")),
        ]

    def __str__(self) -> str:
        return f"{self.user_pk}: {self.asked_at:%Y-%m-%d}"

    @classmethod
    def unfinished(cls) -> models.QuerySet[Erasure]:
        """Those under way, and those of which a legal hold keeps something."""
        return cls.objects.filter(finished_at=None)


class SecretPattern(ConfigRecord):
    """A pattern for secrets, in addition to the built-in ones; matches are masked before texts are stored."""

    name = models.SlugField(
        _("name"),
        max_length=40,
        unique=True,
        help_text=_("Stands in the place of the secret: [masked:name]."),
    )
    pattern = models.CharField(
        _("pattern"),
        max_length=500,
        help_text=_("A regular expression as RE2 has them: without look-around and back references."),
    )
    literal = models.CharField(
        _("always contains"),
        max_length=40,
        blank=True,
        default="",
        help_text=_("A text that every such secret contains. It makes looking for them many times faster."),
    )
    enabled = models.BooleanField(_("enabled"), default=True)

    class Meta:
        ordering = ["name"]
        verbose_name = _("secret pattern")
        verbose_name_plural = _("secret patterns")

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        super().clean()
        try:
            if matches_empty(self.pattern):
                raise ValidationError(
                    {"pattern": _("This matches everything; it must not match the empty text.")}
                )
            check_speed(self.pattern)
        except EngineMissing as problem:
            raise ValidationError(
                {
                    "pattern": _(
                        "Patterns need google-re2, which is not installed here: pip install google-re2. "
                        "Python's own expressions can stand still over a text for days, so they are not used."
                    )
                }
            ) from problem
        except NotLinear as problem:
            raise ValidationError(
                {"pattern": _("This is no regular expression of RE2: %(problem)s") % {"problem": problem}}
            ) from problem
        except TooSlow as problem:
            raise ValidationError(
                {
                    "pattern": _(
                        "This is too slow: a text of 1 MB that nearly matches takes more than %(seconds)s s. "
                        "Give repetitions a bound, and begin with something that is rare."
                    )
                    % {"seconds": LONGEST_TRIAL}
                }
            ) from problem
