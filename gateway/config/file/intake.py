"""What the sections share while a file is taken in: warnings, and which records the file has meant so far."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from django.utils.translation import gettext as _

from gateway.config.file.fields import Unusable
from gateway.models import ConfigRecord

R = TypeVar("R", bound=ConfigRecord)


class Intake:
    """One file being taken in. `remove`: records that the file does not have go. `secrets`: values of
    variables that are not in the environment. `foreign`: it is of another gateway, so a record that has only
    the name of an entry is not what the entry means."""

    def __init__(self, remove: bool, secrets: Mapping[str, str], *, foreign: bool = False) -> None:
        self.remove = remove
        self.foreign = foreign
        self.secrets = secrets
        self.said: list[str] = []
        self._seen: set[tuple[str, Any]] = set()

    def warn(self, sentence: str) -> None:
        """Tell whoever takes the file in what is left for them to do."""
        self.said.append("! " + sentence)

    def once(self, kind: str, name: Any) -> None:
        """Note a name that the file may have once. Raises Unusable for the second time."""
        if (kind, name) in self._seen:
            raise Unusable(_("%(name)r stands here twice") % {"name": name})
        self._seen.add((kind, name))

    def next_of(self, kind: str, found: Iterable[R]) -> R | None:
        """Take the first of these records that no entry has meant yet; None when none is left.

        Names may repeat: the second entry of a name means the second record of that name.
        """
        record = next(iter(self.not_meant(kind, found)), None)
        if record is not None:
            self._seen.add((kind, record.pk))
        return record

    def not_meant(self, kind: str, found: Iterable[R]) -> list[R]:
        """The ones of these records that no entry has claimed yet."""
        return [one for one in found if (kind, one.pk) not in self._seen]

    def taken(self, kind: str, record: ConfigRecord) -> None:
        """Note that an entry has meant this record."""
        self._seen.add((kind, record.pk))
