"""Sign-ins of clients: the request of a machine to be let in, and what it renews its access with.

A sign-in itself is a ClientKey of origin `sign_in`: so it has an owner, limits and a history like every key,
and is revoked like one. Its digest is of a secret that nobody has.
"""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class DeviceGrant(models.Model):
    """A machine that waits for its person to confirm a code. Secrets are kept as digests.

    `address` and `client` say who asks. `polled_at` is when it last asked how things stand, `interval` the
    seconds that it has to wait between two polls.
    """

    class State(models.TextChoices):
        PENDING = "pending", _("pending")
        APPROVED = "approved", _("approved")
        DENIED = "denied", _("denied")
        SPENT = "spent", _("spent")

    device_digest = models.CharField(max_length=64, unique=True)
    user_code = models.CharField(max_length=8, unique=True)
    state = models.CharField(max_length=8, choices=State.choices, default=State.PENDING)
    address = models.CharField(max_length=64, blank=True, default="")
    client = models.CharField(max_length=200, blank=True, default="")
    created_at = models.DateTimeField(db_index=True)
    expires_at = models.DateTimeField()
    polled_at = models.DateTimeField(null=True, blank=True)
    interval = models.PositiveSmallIntegerField(default=5)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.CASCADE)
    key = models.ForeignKey("gateway.ClientKey", null=True, blank=True, on_delete=models.CASCADE)

    class Meta:
        default_permissions = ()
        verbose_name = _("sign-in that waits")
        verbose_name_plural = _("sign-ins that wait")

    def __str__(self) -> str:
        return f"{self.user_code} ({self.state})"


class RefreshToken(models.Model):
    """What a sign-in renews its access with.

    `used_at`: when its grace began; it is good for a short time more. `predecessor`: the token that it was
    renewed with. `superseded`: it was never used, and its predecessor was used again long after the grace.
    """

    digest = models.CharField(max_length=64, primary_key=True)
    key = models.ForeignKey("gateway.ClientKey", on_delete=models.CASCADE, related_name="refresh_tokens")
    issued_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)
    predecessor = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="successors"
    )
    # processes of the release before insert tokens without it
    superseded = models.BooleanField(default=False, db_default=False)

    class Meta:
        default_permissions = ()
        verbose_name = _("refresh token")
        verbose_name_plural = _("refresh tokens")

    def __str__(self) -> str:
        return f"{self.digest[:8]} of {self.key_id}"
