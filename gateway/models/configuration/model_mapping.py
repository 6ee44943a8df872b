"""ModelMapping: a rule from an asked model to where it goes. MappingTarget: one such place."""

from __future__ import annotations

import math
import secrets
from typing import Any, ClassVar, Final

from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from gateway.models.base import ConfigRecord, Origin
from gateway.models.configuration.condition_words import problem_of
from gateway.models.configuration.provider import Provider

SMALLEST_WEIGHT: Final = 0.001
LARGEST_WEIGHT: Final = 1_000_000


def new_salt() -> str:
    """What the sessions of a new mapping are divided by (routing/shares.py)."""
    return secrets.token_hex(8)


class ModelMapping(ConfigRecord):
    """One rule. A pattern without `*` is an exact name; exact names beat patterns, then position decides.

    Its `targets` say where it leads. `environment_key` is as in Provider.
    """

    position = models.IntegerField(_("position"), default=0, help_text=_("Smaller numbers are tried first."))
    pattern = models.CharField(
        _("pattern"),
        max_length=200,
        help_text=_("The model a client asks for; * stands for any text. Case does not matter."),
    )
    public_names = models.JSONField(
        _("public names"),
        default=list,
        blank=True,
        help_text=_(
            "Names listed in GET /v1/models and accepted like exact names. "
            "Claude Code shows those that contain claude or anthropic."
        ),
    )
    context_window = models.PositiveIntegerField(
        _("context window"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text=_("Tokens. Empty: unknown."),
    )
    max_output_tokens = models.PositiveIntegerField(
        _("max output tokens"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text=_("A larger max_tokens is lowered to it."),
    )
    min_output_tokens = models.PositiveIntegerField(
        _("min output tokens"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text=_("A smaller max_tokens is raised to it."),
    )
    when = models.JSONField(
        _("when"),
        default=dict,
        blank=True,
        help_text=_(
            "What a request must be for the mapping to take it, beside its name. Empty: every request."
        ),
    )
    skips_blind = models.BooleanField(
        _("images only to models that see them"),
        default=False,
        db_default=False,
        help_text=_(
            "Targets that cannot see images are left out for requests that carry some, as long as another "
            "target is left. Otherwise such a target gets a marker for each image, and the ledger says so."
        ),
    )
    options = models.JSONField(
        _("profile options"),
        default=dict,
        blank=True,
        help_text=_("JSON object; what differs from the provider. docs/conversion.md names all options."),
    )
    salt = models.CharField(
        _("salt"),
        max_length=64,
        default=new_salt,
        db_default="",
        blank=True,
        editable=False,
        help_text=_(
            "What sessions are divided among the targets by. With another one they are divided anew."
        ),
    )
    enabled = models.BooleanField(_("enabled"), default=True)
    note = models.CharField(_("note"), max_length=500, blank=True, default="")
    origin = models.CharField(
        _("origin"), max_length=20, choices=Origin.choices, default=Origin.ADMIN, editable=False
    )
    environment_key = models.CharField(
        _("environment key"), max_length=40, blank=True, default="", editable=False
    )

    # the manager of its models.Ramp
    ramps: Any

    class Meta:
        ordering = ["position", "pk"]
        verbose_name = _("model mapping")
        verbose_name_plural = _("model mappings")

    def __str__(self) -> str:
        return self.pattern

    def clean(self) -> None:
        super().clean()
        names = self.public_names
        if not isinstance(names, list) or not all(isinstance(name, str) and name.strip() for name in names):
            raise ValidationError({"public_names": _("Enter a list of names.")})
        if (
            self.min_output_tokens
            and self.max_output_tokens
            and self.min_output_tokens > self.max_output_tokens
        ):
            raise ValidationError({"min_output_tokens": _("This is more than the largest output.")})
        problem = problem_of(self.when)
        if problem:
            raise ValidationError({"when": problem})

    def lead_to(self, provider: Provider, upstream_model: str = "", **fields: Any) -> MappingTarget:
        """Store one more target of this stored mapping; by default after those it has."""
        if "position" not in fields:
            last = self.targets.aggregate(last=models.Max("position"))["last"]
            fields["position"] = 0 if last is None else last + 1
        target: MappingTarget = self.targets.create(
            provider=provider, upstream_model=upstream_model, **fields
        )
        return target


class MappingTarget(ConfigRecord):
    """One place where a mapping sends requests: a provider and an upstream model.

    Targets are tried in the order of their positions: the next one when a provider
    cannot answer, never because of what the client sent. Where an enabled target has a weight,
    each session begins at one of those that have, in proportion to their weights; the others
    follow in their order.
    """

    edited_with: ClassVar[str] = "mapping"

    mapping = models.ForeignKey(
        ModelMapping, on_delete=models.CASCADE, related_name="targets", verbose_name=_("model mapping")
    )
    position = models.IntegerField(_("position"), default=0, help_text=_("Smaller numbers are tried first."))
    provider = models.ForeignKey(
        Provider, on_delete=models.PROTECT, related_name="targets", verbose_name=_("provider")
    )
    upstream_model = models.CharField(
        _("upstream model"),
        max_length=200,
        blank=True,
        default="",
        help_text=_(
            "The name sent to the provider. Empty: the asked name. "
            "* stands for what the first * of the pattern matched."
        ),
    )
    model_family = models.CharField(
        _("model family"),
        max_length=200,
        blank=True,
        default="",
        help_text=_(
            "Which model it really is, when the upstream name hides it (an Azure deployment). "
            "The preset's rules look at this name."
        ),
    )
    weight = models.FloatField(
        _("weight"),
        null=True,
        blank=True,
        help_text=_(
            "Its share of the sessions, relative to the other weights. Empty: it only stands in when those "
            "in front of it cannot answer. No target has a weight: the first one gets all."
        ),
    )
    enabled = models.BooleanField(_("enabled"), default=True)

    class Meta:
        ordering = ["position", "pk"]
        verbose_name = _("target")
        verbose_name_plural = _("targets")

    def __str__(self) -> str:
        return f"{self.upstream_model or _('the asked name')} @ {self.provider}"

    def clean(self) -> None:
        super().clean()
        if self.weight is not None and not (
            math.isfinite(self.weight) and SMALLEST_WEIGHT <= self.weight <= LARGEST_WEIGHT
        ):
            raise ValidationError({"weight": _("Enter a number from 0.001 to 1,000,000, or nothing.")})
        if self.mapping_id is not None:
            self.check_pattern(self.mapping.pattern)

    @property
    def arm(self) -> str:
        """Its name among the arms of its mapping; as routing.snapshot.Target.arm."""
        return f"{self.provider.slug}/{self.upstream_model}"

    def check_pattern(self, pattern: str) -> None:
        """Raises ValidationError when a `*` of the upstream model has no counterpart in the pattern."""
        if "*" in self.upstream_model and "*" not in pattern:
            raise ValidationError(
                {"upstream_model": _("A * here is what the pattern's * matched, and the pattern has none.")}
            )
