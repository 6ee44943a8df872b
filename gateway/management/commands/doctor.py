"""doctor: reports what is wrong, unsafe or without effect in settings and records, without outside calls."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core import checks
from django.core.management.base import BaseCommand
from django.utils.translation import gettext as _

from gateway.conf import gateway_conf
from gateway.config.client_policies import mistaken
from gateway.config.key_rotation import state_of_secrets
from gateway.config.startup.environment import with_living_defaults
from gateway.config.startup.overridden import overridden
from gateway.history.record import spool
from gateway.management.invocation import command
from gateway.management.preparation import first_start_text, is_prepared
from gateway.management.start_text import section
from gateway.models import ClientKey, Provider
from gateway.models.configuration.provider import CERTIFICATES
from gateway.security.certificate_expiry import expiry
from gateway.security.encryption import UnusableKey

# before a certificate expires: the time in which a company issues another
_NOTICE: Final = timedelta(days=30)


class Command(BaseCommand):
    help = _(
        "Report what is wrong, unsafe or without effect in settings and records. Makes no outside calls."
    )
    # the command shows them itself
    requires_system_checks: list[str] = []

    def handle(self, *_args: Any, **__: Any) -> None:
        found = checks.run_checks(tags=["gateway"])
        unsound = any(message.is_serious() for message in found)
        self.stdout.write(first_start_text())
        self._say(_("Settings"), str(settings.SETTINGS_FILE))
        # without readable settings nothing else can be checked
        problems = [] if unsound else self._records()
        for message in found:
            self.stdout.write(f"\n{message.msg}\n  {message.hint or ''}".rstrip())
        for problem in problems:
            self.stdout.write(f"\n{problem}")
        if not found and not problems:
            self.stdout.write("\n" + _("Nothing is wrong."))
        if unsound or problems:
            raise SystemExit(1)

    def _records(self) -> list[str]:
        """Report on the records; returns what has to be done. Raises what the database raises."""
        if not is_prepared():
            return [
                _("The database has unapplied migrations. Run: %(command)s") % {"command": command("migrate")}
            ]
        problems = []
        admins = get_user_model().objects.filter(is_superuser=True, is_active=True).count()
        keys = ClientKey.unretired().count()
        self._say(
            _("Access"), _("%(admins)d admins, %(keys)d client keys") % {"admins": admins, "keys": keys}
        )
        if not admins:
            problems.append(
                _("Nobody can log in. Create an admin: %(command)s") % {"command": command("createsuperuser")}
            )
        # an admin's decision is not a problem
        for line in overridden(with_living_defaults(gateway_conf(), datetime.now(UTC).date())):
            self._say(_("Environment"), line)
        waiting = spool.waiting_bytes(gateway_conf().spool_folder)
        self._say(_("History"), _("%(number)d bytes wait in files for the database") % {"number": waiting})
        problems += self._certificates(datetime.now(UTC))
        problems += [
            _("Clients do not get all of the policy %(name)s: %(problem)s. Correct it and save it.") % policy
            for policy in mistaken()
        ]
        try:
            secrets = state_of_secrets(gateway_conf().field_encryption_keys)
        except UnusableKey:
            # the checks report it
            return problems
        self._say(_("Secrets"), _("%(number)d are stored") % {"number": secrets.secrets})
        if secrets.unreadable:
            problems.append(
                _("No key in FIELD_ENCRYPTION_KEYS opens: %(which)s")
                % {"which": ", ".join(secrets.unreadable)}
            )
        if secrets.replaced:
            problems.append(
                _("%(number)d secrets need an older key. Re-encrypt them: %(command)s")
                % {"number": secrets.replaced, "command": command("rotatekeys")}
            )
        return problems

    def _certificates(self, now: datetime) -> list[str]:
        """Tells when the certificates of providers expire; those that need a successor soon."""
        problems = []
        for provider in Provider.objects.filter(enabled=True).order_by("slug"):
            for name, what in CERTIFICATES.items():
                ends = expiry(getattr(provider, name))
                if ends is None:
                    continue
                facts = {"provider": provider.name, "what": what, "day": f"{ends:%Y-%m-%d}"}
                self._say(_("Certificate"), _("%(provider)s, %(what)s: until %(day)s") % facts)
                if ends <= now:
                    problems.append(_("%(provider)s, %(what)s: expired on %(day)s. Replace it.") % facts)
                elif ends - now <= _NOTICE:
                    problems.append(_("%(provider)s, %(what)s: expires on %(day)s. Replace it.") % facts)
        return problems

    def _say(self, title: str, line: str) -> None:
        self.stdout.write(section(title, [line]))
