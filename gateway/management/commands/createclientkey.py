"""createclientkey NAME: issues a client key and prints it, once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from gateway.conf import CAPTURE_POLICIES, gateway_conf
from gateway.config.launch import claude_code_lines, local_url
from gateway.models import ClientKey


class Command(BaseCommand):
    help = "Issue a client key for Claude Code or another client. It is printed once and never again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="What or whom the key is for.")
        parser.add_argument("--owner", default="", help="Who answers for it.")
        parser.add_argument("--days", type=int, help="Days until it expires. Default: never.")
        parser.add_argument(
            "--model",
            action="append",
            default=[],
            metavar="NAME",
            help="A model or pattern with * that it may ask for; may be repeated. Default: all.",
        )
        parser.add_argument(
            "--capture",
            choices=CAPTURE_POLICIES,
            default="",
            help="Bodies kept. Default: as the gateway does.",
        )

    def handle(self, *_: Any, **given: Any) -> None:
        if given["days"] is not None and given["days"] < 1:
            raise CommandError("--days must be 1 or more.")
        record, key = ClientKey.issue(
            given["name"],
            owner=given["owner"],
            expires_at=timezone.now() + timedelta(days=given["days"]) if given["days"] else None,
            allowed_models=given["model"],
            capture=given["capture"],
        )
        until = f", until {record.expires_at:%Y-%m-%d}" if record.expires_at else ""
        start = claude_code_lines(local_url(gateway_conf()), key)
        lines = [
            f"Client key for {record.name}{until}. It is shown only now:",
            "",
            f"  {key}",
            "",
            "Start Claude Code with it:",
            "",
            *(f"  {line}" for line in start),
        ]
        self.stdout.write("\n".join(lines))
