"""SafeguardRule: which tool calls auto mode may run, without asking a model."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _

from gateway.models.base import ConfigRecord


class SafeguardRule(ConfigRecord):
    """One rule; safeguards/rules.py says what its patterns mean."""

    class Decision(models.TextChoices):
        ALLOW = "allow", _("allow")
        UNDECIDED = "undecided", _("leave undecided")
        DENY = "deny", _("deny")

    position = models.IntegerField(_("position"), default=0, help_text=_("Smaller numbers are tried first."))
    decision = models.CharField(_("decision"), max_length=10, choices=Decision.choices)
    tool = models.CharField(
        _("tool"),
        max_length=200,
        blank=True,
        default="",
        help_text=_("A name such as Bash or mcp__github__*. Empty: any tool."),
    )
    command = models.CharField(
        _("command"),
        max_length=500,
        blank=True,
        default="",
        help_text=_(
            "Words: npm test is this very command, npm test * also with further words, but no options that "
            "run other programs or write files. A rule that denies or leaves undecided fits wherever these "
            "words stand in a command."
        ),
    )
    path = models.CharField(
        _("path"),
        max_length=500,
        blank=True,
        default="",
        help_text=_("* stands for any letters; {cwd} at the beginning for the working directory."),
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, blank=True, verbose_name=_("person")
    )
    group = models.ForeignKey(
        "auth.Group", on_delete=models.CASCADE, null=True, blank=True, verbose_name=_("group")
    )
    explanation = models.CharField(
        _("explanation"), max_length=500, blank=True, default="", help_text=_("What the model is told.")
    )
    enabled = models.BooleanField(_("enabled"), default=True)

    class Meta:
        ordering = ["position", "pk"]
        verbose_name = _("safeguard rule")
        verbose_name_plural = _("safeguard rules")

    def __str__(self) -> str:
        parts = (self.tool or "*", self.command, self.path)
        return f"{self.decision} {' '.join(part for part in parts if part)}"

    def clean(self) -> None:
        super().clean()
        if self.command and self.path:
            raise ValidationError(_("Give a command or a path, not both: no tool has the two."))
        if self.decision == "allow" and not (self.tool or self.command or self.path):
            raise ValidationError(_("A rule that allows names a tool, a command or a path."))

    def matching(self) -> dict[str, Any]:
        """The fields that safeguards.rules.ActionRule has."""
        return {
            "id": self.pk,
            "decision": self.decision,
            "tool": self.tool,
            "command": self.command,
            "path": self.path,
            "owner": self.user_id,
            "group": self.group_id,
            "explanation": self.explanation,
        }
