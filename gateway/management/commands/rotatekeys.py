"""rotatekeys: encrypts every stored secret with the newest key, so that older keys can be removed."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _

from gateway.conf import gateway_conf
from gateway.config.key_rotation import Rotation, rotate
from gateway.security.encryption import HOW_TO_MAKE_A_KEY, UnusableKey

TELL_EVERY = 500


class Command(BaseCommand):
    help = _(
        "Encrypt every stored secret with the first key of FIELD_ENCRYPTION_KEYS. The gateway may serve "
        "meanwhile; stopped, it goes on where it was when it is started again."
    )

    def handle(self, *_args: Any, **__: Any) -> None:
        keys = gateway_conf().field_encryption_keys
        state = Rotation()
        try:
            for state in rotate(keys):
                if state.secrets % TELL_EVERY == 0:
                    self._tell(state)
        except UnusableKey as problem:
            raise CommandError(str(problem)) from None
        self._tell(state)
        if state.unreadable:
            raise CommandError(
                _("No key opens these; put the key they were saved with back, or enter them again: %(which)s")
                % {"which": ", ".join(state.unreadable)}
            )
        if len(keys) > 1:
            self.stdout.write(
                _("Every process must know the first key; then take the others out of FIELD_ENCRYPTION_KEYS.")
            )
        else:
            self.stdout.write(
                _("There is one key. To change it, put a new one in front: %(command)s")
                % {"command": HOW_TO_MAKE_A_KEY}
            )

    def _tell(self, state: Rotation) -> None:
        self.stdout.write(
            _("%(secrets)d secrets examined, %(replaced)d re-encrypted")
            % {"secrets": state.secrets, "replaced": state.replaced}
        )
