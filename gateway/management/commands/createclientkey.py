"""createclientkey NAME: issues a client key and prints it, once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.translation import gettext as _

from gateway.conf import CAPTURE_POLICIES, gateway_conf
from gateway.config.startup.client_setup_text import base_url, claude_code_lines
from gateway.management.numbers import MOST_DAYS, whole
from gateway.models import ClientKey


class Command(BaseCommand):
    help = _("Issue a client key for Claude Code or another client. It is printed once and never again.")

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help=_("What or whom the key is for."))
        parser.add_argument("--owner", default="", help=_("Who answers for it."))
        parser.add_argument(
            "--days", type=whole(1, MOST_DAYS), help=_("Days until it expires. Default: never.")
        )
        parser.add_argument(
            "--model",
            action="append",
            default=[],
            metavar="NAME",
            help=_("A model or pattern with * that it may ask for; may be repeated. Default: all."),
        )
        parser.add_argument(
            "--capture",
            choices=CAPTURE_POLICIES,
            default="",
            help=_("Bodies kept. Default: as the gateway does."),
        )

    def handle(self, *_args: Any, **given: Any) -> None:
        record = ClientKey(
            name=given["name"],
            owner=given["owner"],
            expires_at=timezone.now() + timedelta(days=given["days"]) if given["days"] else None,
            allowed_models=given["model"],
            capture=given["capture"],
        )
        key = record.set_new_key()
        try:
            record.full_clean()
        except ValidationError as problem:
            raise CommandError(" ".join(problem.messages)) from None
        record.save()
        if record.expires_at:
            head = _("Client key for %(name)s, until %(day)s. It is shown only now:") % {
                "name": record.name,
                "day": f"{record.expires_at:%Y-%m-%d}",
            }
        else:
            head = _("Client key for %(name)s. It is shown only now:") % {"name": record.name}
        start = claude_code_lines(base_url(gateway_conf()), key)
        lines = [
            head,
            "",
            f"  {key}",
            "",
            _("Start Claude Code with it:"),
            "",
            *(f"  {line}" for line in start),
        ]
        self.stdout.write("\n".join(lines))
