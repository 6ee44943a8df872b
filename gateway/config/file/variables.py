"""Secrets of the file: each is named by the environment variable that holds it, {"env": "ACME_KEY"}.

As with the gateway's own settings, ACME_KEY_FILE names a file with the secret in it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final

from django.conf import settings
from django.utils.translation import gettext as _

from gateway.config.file.fields import Unusable
from gateway.variables import UnusablePath, text_of_file

# settings with this prefix add headers to every provider's requests
_CUSTOM_HEADERS: Final = "CUSTOM_HEADER_"
# the gateway's own settings that hold a credential
_CREDENTIALS: Final = frozenset({"OPENAI_API_KEY", "ANTHROPIC_API_KEY"})


class VariableNames:
    """Names for the variables of one file: no name twice, and none of the gateway's settings."""

    def __init__(self) -> None:
        self._taken = set(settings.ENVIRONMENT_NAMES)

    def __call__(self, wanted: str) -> str:
        """The wanted name, or one like it that is free."""
        name, number = wanted, 1
        while name in self._taken or name.startswith(_CUSTOM_HEADERS):
            number += 1
            name = f"PROVIDER_{wanted}" if number == 2 else f"PROVIDER_{wanted}_{number}"
        self._taken.add(name)
        return name


def secret(value: Any, known: Mapping[str, str]) -> str:
    """The text of {"env": NAME}, from `known`, the file that NAME_FILE names, or NAME; "" when none is set.

    Raises Unusable for a secret in clear text, a setting of the gateway, and a file that cannot be read.
    """
    if isinstance(value, dict) and list(value) == ["env"]:
        name = str(value["env"])
        if name in known:
            return known[name]
        if name in settings.ENVIRONMENT_NAMES and name not in _CREDENTIALS:
            raise Unusable(
                _("%(name)s is a setting of the gateway and holds no credential; name another variable")
                % {"name": name}
            )
        return _from_environment(name)
    if value in ("", None):
        return ""
    raise Unusable(
        _('a secret stands in the file; name the environment variable that holds it: {"env": "NAME"}')
    )


def _from_environment(name: str) -> str:
    path = os.environ.get(f"{name}_FILE")
    if not path:
        return os.environ.get(name, "")
    try:
        return text_of_file(f"{name}_FILE", path)
    except UnusablePath as problem:
        raise Unusable(str(problem)) from problem
