"""rebuildindex: rebuilds the search index from the stored contents."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand
from django.utils.translation import gettext as _

from gateway.history.record.reindexing import reindex


class Command(BaseCommand):
    help = _("Rebuild the search index from the stored contents. The gateway may serve meanwhile.")

    def handle(self, *_args: Any, **__: Any) -> None:
        number = 0
        for number in reindex():
            self.stdout.write(_("%(number)d requests indexed") % {"number": number}, ending="\r")
            self.stdout.flush()
        self.stdout.write(_("%(number)d requests indexed") % {"number": number})
