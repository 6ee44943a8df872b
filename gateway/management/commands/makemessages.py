"""makemessages: Django's command, extended by the texts of the known providers, which are in JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.commands import makemessages

from gateway.config.presets.presets import presets

_HEADER = 'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=CHARSET\\n"\n\n'


class Command(makemessages.Command):
    """Adds labels and notes of presets to the template of the sources."""

    def process_files(self, file_list: list[Any]) -> None:
        super().process_files(file_list)
        entries = "".join(f'msgid {_quoted(text)}\nmsgstr ""\n\n' for text in words_of_presets())
        # the app's own template, which the sources have begun; the command is run in the app's folder
        makemessages.write_pot_file(str(Path("locale", f"{self.domain}.pot")), _HEADER + entries)


def words_of_presets() -> list[str]:
    """What the presets say to people, each text once."""
    said = [
        text
        for known in presets().values()
        for text in (known.label, known.note, *(other.note for other in known.alternatives))
    ]
    return list(dict.fromkeys(filter(None, said)))


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
