"""The whole configuration file: written, read, compared with the records, taken in.

A record is found by the name that people use (a provider's slug, a mapping's pattern, a key's name), because
row ids differ between installations. Taking a file in is one transaction, and each change is in the log of
changes. Records that the file does not have stay, unless `remove` is asked for.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from django.contrib.admin.models import ADDITION, DELETION, LogEntry
from django.core.exceptions import ValidationError
from django.core.serializers.json import DjangoJSONEncoder
from django.db import DatabaseError, transaction
from django.db.models import Max, ProtectedError
from django.utils.translation import gettext as _

from gateway.config.change_entries import RecordChange, changes_of
from gateway.config.changes import FILE, acting
from gateway.config.file.fields import Unusable, a_list, an_object
from gateway.config.file.intake import Intake
from gateway.config.file.sections import SECTIONS, Section
from gateway.config.file.variables import VariableNames
from gateway.models import ConfigRecord, Origin
from gateway.models.database_errors import concerns_server
from gateway.security.encryption import EncryptionError
from gateway.wire.messages import JSONObject

logger = logging.getLogger("gateway.config")

VERSION: Final = 1
# changes that the log shows of a file
_MOST_LOGGED: Final = 20


def exported() -> JSONObject:
    """The present configuration as a document."""
    names = VariableNames()
    return {"ccproxy": VERSION, **{section.name: section.entries(names) for section in SECTIONS}}


def as_text(document: Mapping[str, Any]) -> str:
    """The document as it stands in a file."""
    return json.dumps(document, cls=DjangoJSONEncoder, ensure_ascii=False, indent=2) + "\n"


def read(path: Path) -> JSONObject:
    """The document in a file. Raises Unusable."""
    try:
        document = json.loads(path.read_text("utf-8"))
    except OSError as problem:
        raise Unusable(f"{path}: {problem.strerror}") from problem
    except (ValueError, RecursionError) as problem:
        raise Unusable(
            _("%(path)s is not JSON: %(problem)s") % {"path": path, "problem": problem}
        ) from problem
    if not isinstance(document, dict) or document.get("ccproxy") != VERSION:
        raise Unusable(
            _('%(path)s is no configuration of this gateway: "ccproxy" is not %(version)s')
            % {"path": path, "version": VERSION}
        )
    return document


def imported(
    document: Mapping[str, Any],
    *,
    remove: bool = False,
    dry_run: bool = False,
    skip: bool = False,
    secrets: Mapping[str, str] | None = None,
    foreign: bool = False,
) -> list[str]:
    """Take a document in; return each change as a line, such as "~ provider Acme: enabled: true -> false".

    `remove`: records that admins keep and the document does not have are removed. `dry_run`: save nothing.
    `skip`: an entry that cannot be taken in is left out, and a line that begins with "!" says why; otherwise
    the whole document is refused. `secrets`: values of variables that are not in the environment.
    `foreign`: made of another gateway's file (Intake). Raises Unusable.
    """
    with transaction.atomic(), acting(source=FILE):
        newest = LogEntry.objects.aggregate(newest=Max("pk"))["newest"] or 0
        said = _taken_in(document, Intake(remove, secrets or {}, foreign=foreign), skip)
        entries = LogEntry.objects.filter(pk__gt=newest).order_by("pk")
        lines = [_line(change) for entry in entries for change in changes_of(entry)]
        if dry_run:
            transaction.set_rollback(True)
    return [*lines, *said]


def load(path: Path) -> int:
    """Take in the file that a server loads at its start; return the number of changes.

    What an admin changed meanwhile never stops a start: an entry that does not fit is left out, and the log
    says so. Raises Unusable for a file that is not a configuration.
    """
    lines = imported(read(path), skip=True)
    problems = [line.removeprefix("! ") for line in lines if line.startswith("!")]
    changed = [line for line in lines if not line.startswith("!")]
    if changed:
        # an admin's change of what the file names ends here
        facts = {"path": str(path), "changes": len(changed), "first": "\n".join(changed[:_MOST_LOGGED])}
        logger.warning("the configuration file changed records", extra=facts)
    for problem in problems:
        logger.warning("the configuration file", extra={"path": str(path), "problem": problem})
    return len(changed)


def _taken_in(document: Mapping[str, Any], intake: Intake, skip: bool) -> list[str]:
    if "\\u0000" in json.dumps(document, default=str):
        # PostgreSQL stores no NUL in a text; SQLite stores it, but cannot search for it
        raise Unusable(_("a text has a NUL character"))
    for section in SECTIONS:
        if section.name in document:
            kept = _take_section(section, document[section.name], intake, skip)
            if intake.remove:
                _drop_others(section, kept)
    return intake.said


def _take_section(section: Section, items: Any, intake: Intake, skip: bool) -> list[Any]:
    """The primary keys of the records that the entries mean."""
    kept = []
    for place, item in enumerate(a_list(items, section.name)):
        said = len(intake.said)
        try:
            # the savepoint undoes what a skipped entry had already written
            with transaction.atomic():
                kept.append(_take_entry(section, f"{section.name}[{place}]", item, intake))
        except Unusable as problem:
            if not skip:
                raise
            del intake.said[said:]
            intake.warn(_("%(problem)s Left out.") % {"problem": problem})
    return [record.pk for record in kept if record is not None]


def _take_entry(section: Section, where: str, item: Any, intake: Intake) -> ConfigRecord | None:
    try:
        return section.take(an_object(item, where), intake)
    except Unusable as problem:
        raise Unusable(f"{where}: {problem}") from problem
    except ValidationError as problem:
        raise Unusable(f"{where}: {_sentences(problem)}") from problem
    except EncryptionError as problem:
        raise Unusable(f"{where}: {problem}") from problem
    except (TypeError, AttributeError, ValueError, OverflowError, DatabaseError) as problem:
        if isinstance(problem, DatabaseError) and concerns_server(problem):
            raise
        raise Unusable(
            _("%(where)s: a value is not of the right kind (%(problem)s)")
            % {"where": where, "problem": problem}
        ) from problem


def _drop_others(section: Section, kept: list[Any]) -> None:
    others: Any = section.model._default_manager.exclude(pk__in=kept)
    if hasattr(section.model, "origin"):
        others = others.filter(origin=Origin.ADMIN)
    for one in others:
        try:
            section.drop(one)
        except ProtectedError as problem:
            raise Unusable(
                _("%(section)s: %(record)s is in use and cannot be removed")
                % {"section": section.name, "record": one}
            ) from problem


def _line(change: RecordChange) -> str:
    sign = {ADDITION: "+", DELETION: "-"}.get(change.flag, "~")
    what = f"{sign} {change.model._meta.verbose_name} {change.title}"
    if change.flag in (ADDITION, DELETION):
        return what
    return f"{what}: " + "; ".join(
        f"{name}: {json.dumps(before, ensure_ascii=False)} -> {json.dumps(after, ensure_ascii=False)}"
        for name, (before, after) in change.values.items()
    )


def _sentences(problem: ValidationError) -> str:
    if not hasattr(problem, "error_dict"):
        return " ".join(problem.messages)
    parts: Iterable[tuple[str, list[str]]] = problem.message_dict.items()
    return "; ".join(f"{name}: {' '.join(sentences)}" for name, sentences in parts)
