"""A page's scripts. Django's Media lists them only in private attributes.

Seen with Django 5.2; tests/test_seams.py fails when another version needs a look.
"""

from __future__ import annotations

from typing import Any

from django.forms import Media


def without_scripts(media: Any, endings: tuple[str, ...]) -> Media:
    """A page's media without the scripts whose path ends like one of these."""
    return Media(css=media._css, js=[path for path in media._js if not str(path).endswith(endings)])
