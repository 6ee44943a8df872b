"""setprice MODEL: sets the price of an upstream model."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from gateway.management.moments import moment
from gateway.models import ModelPrice, Provider

_RATES = ("input", "output", "cache_read", "cache_write", "cache_write_1h", "request")


class Command(BaseCommand):
    help = str(
        gettext_lazy(
            "Set the price of an upstream model, in US dollars for a million tokens. "
            "It holds for new requests; manage.py recomputecosts applies it to past ones."
        )
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("model", help=_("The name sent to the provider; * stands for any text."))
        parser.add_argument("--provider", help=_("A provider's slug. Default: every provider."))
        for name in _RATES:
            parser.add_argument(f"--{name.replace('_', '-')}", dest=name, metavar="USD")
        parser.add_argument(
            "--free", action="store_true", help=_("It costs nothing, such as a model of your own.")
        )
        parser.add_argument("--from", dest="since", help=_("Valid from this moment. Default: always."))
        parser.add_argument("--to", dest="until", help=_("Valid until before this moment."))
        parser.add_argument("--note", default="")

    def handle(self, *_args: Any, **given: Any) -> None:
        rates = {name: _rate(name, given[name]) for name in _RATES if given[name] is not None}
        if given["free"]:
            rates = {"input": Decimal(0), "output": Decimal(0)}
        if not {"input", "output"} <= rates.keys():
            raise CommandError(_("Give --input and --output, or --free."))
        record = ModelPrice(
            model=given["model"],
            provider=_provider(given["provider"]),
            valid_from=moment(given["since"]),
            valid_to=moment(given["until"]),
            note=given["note"],
            **rates,
        )
        try:
            record.full_clean()
        except ValidationError as problem:
            raise CommandError("; ".join(problem.messages)) from None
        record.save()
        self.stdout.write(_("Price %(id)d is set: %(price)s.") % {"id": record.pk, "price": record})


def _provider(slug: str | None) -> Provider | None:
    if slug is None:
        return None
    found: Provider | None = Provider.objects.filter(slug=slug).first()
    if found is None:
        raise CommandError(_("There is no provider %s.") % slug)
    return found


def _rate(name: str, text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise CommandError(_("--%(name)s is not a number: %(text)s") % {"name": name, "text": text}) from None
