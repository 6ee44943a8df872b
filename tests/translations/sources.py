"""What the sources mark for translation. Babel reads Python, and what Django makes of a template for it."""

import io
import re
from pathlib import Path

from babel.messages.extract import extract_python
from django.utils.translation.template import templatize

from gateway.config.presets import presets as known_providers
from gateway.management.commands.makemessages import words_of_presets

KEYWORDS = {
    **dict.fromkeys(("_", "gettext", "gettext_lazy", "gettext_noop"), None),
    **dict.fromkeys(("ngettext", "ngettext_lazy"), (1, 2)),
    **dict.fromkeys(("pgettext", "pgettext_lazy"), ((1, "c"), 2)),
    **dict.fromkeys(("npgettext", "npgettext_lazy"), ((1, "c"), 2, 3)),
}


def marked(folder: Path, patterns=("*.py", "*.html")) -> dict[tuple[str | None, str], Path]:
    """(context, message) of everything that is marked below a folder, each with a file it stands in."""
    found = {}
    for pattern in patterns:
        for path in sorted(folder.rglob(pattern)):
            if "migrations" not in path.parts:
                found.update(dict.fromkeys(_messages(path), path))
    return found


def marked_in_presets() -> dict[tuple[str | None, str], Path]:
    """What the known providers say; it stands in JSON, where nothing can be marked."""
    return {(None, text): Path(known_providers.__file__) for text in words_of_presets()}


def _messages(path: Path):
    text = path.read_text()
    if path.suffix == ".html":
        # blanked HTML has no meaning for Python; its indentation must have none either
        text = re.sub(r"^[ \t]+", "", templatize(text, origin=str(path)), flags=re.MULTILINE)
    for _line, function, strings, _comments in extract_python(
        io.BytesIO(text.encode()), tuple(KEYWORDS), (), {"encoding": "utf-8"}
    ):
        words = strings if isinstance(strings, tuple) else (strings,)
        if function.startswith(("pgettext", "npgettext")):
            yield words[0], words[1]
        elif words and words[0]:
            yield None, words[0]
