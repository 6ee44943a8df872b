"""Lists of people who get client keys: names, one a line, or a CSV file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any, Final

from django import forms
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from gateway.admin.keys.key_limits import LIMITS, limit_fields
from gateway.admin.ui.base import DateTimeInput, FileInput, Select, Textarea
from gateway.admin.ui.fields import LinesField
from gateway.models import ClientKey
from gateway.models.configuration.client_key import BudgetPeriod, Capture

MOST: Final = 1000
_LONGEST_FILE: Final = 1024 * 1024
_LONGEST_NAME: Final = 100
_LONGEST_OWNER: Final = 200


class BulkForm(forms.Form):
    """The list, and what all its keys have in common."""

    names = forms.CharField(
        label=gettext_lazy("Names"),
        required=False,
        widget=Textarea(attrs={"rows": 8}),
        help_text=gettext_lazy(
            "One a line: the key's name, or name, owner. An owner who is a user here sees their key after "
            "logging in."
        ),
    )
    file = forms.FileField(
        label=gettext_lazy("or a CSV file"),
        required=False,
        widget=FileInput,
        help_text=gettext_lazy("With the columns name and owner in its first line; owner may be missing."),
    )
    expires_at = forms.SplitDateTimeField(
        label=gettext_lazy("Expires"),
        required=False,
        widget=DateTimeInput,
        help_text=gettext_lazy("Empty: never."),
    )
    allowed_models = LinesField(
        label=gettext_lazy("Allowed models"),
        help_text=gettext_lazy("One a line: names or patterns with *. Empty: all."),
    )
    capture = forms.ChoiceField(
        label=gettext_lazy("Bodies kept"), required=False, choices=Capture.choices, widget=Select
    )

    def __init__(self, *args: Any, may_assign: bool, **options: Any) -> None:
        super().__init__(*args, **options)
        self._may_assign = may_assign
        self.fields.update(limit_fields())

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        rows = list(_rows(cleaned.get("names", ""), cleaned.get("file")))
        if not rows and not self.errors:
            raise ValidationError(_("Enter at least one name, or choose a file."))
        if len(rows) > MOST:
            raise ValidationError(_("At most %d keys at once.") % MOST)
        for name, owner in rows:
            if len(name) > _LONGEST_NAME or len(owner) > _LONGEST_OWNER:
                raise ValidationError(_("This name is too long: %s") % f"{name[:60]}…")
        taken = set(
            ClientKey.objects.filter(name__in=[name for name, _owner in rows]).values_list("name", flat=True)
        )
        names = [name for name, _owner in rows]
        twice = sorted({name for name in names if names.count(name) > 1} | taken)
        if twice:
            text = _("There is already a key with this name, or the name is here twice: %s")
            raise ValidationError(text % ", ".join(twice[:10]))
        users = self._users(rows)
        if users and not self._may_assign:
            text = _("These are users here, and making them owners takes a right that you do not have: %s")
            raise ValidationError(text % ", ".join(sorted(users)[:10]))
        cleaned["rows"], cleaned["users"] = rows, users
        return cleaned

    def _users(self, rows: list[tuple[str, str]]) -> dict[str, Any]:
        owners = {owner for _name, owner in rows if owner}
        return {user.get_username(): user for user in get_user_model().objects.filter(username__in=owners)}

    def records(self) -> Iterator[dict[str, Any]]:
        """The fields of each key to issue, for ClientKey.issue."""
        given = self.cleaned_data
        for name, owner in given["rows"]:
            user = given["users"].get(owner)
            yield {
                "name": name,
                "owner": "" if user else owner,
                "user": user,
                "expires_at": given["expires_at"],
                "allowed_models": given["allowed_models"],
                "capture": given["capture"],
                **{name: given[name] for name in LIMITS},
                "budget_period": given["budget_period"] or BudgetPeriod.MONTH,
            }


def _rows(names: str, file: Any) -> Iterator[tuple[str, str]]:
    """(name, owner) of each line. Raises ValidationError for a file in another form."""
    for row in csv.reader(io.StringIO(names), skipinitialspace=True):
        if row and row[0].strip():
            yield row[0].strip(), (row[1].strip() if len(row) > 1 else "")
    if file is None:
        return
    if file.size > _LONGEST_FILE:
        raise ValidationError(_("The file is larger than 1 MB."))
    try:
        text = file.read().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValidationError(_("The file is not UTF-8 text. Save it as CSV UTF-8.")) from None
    try:
        reader = csv.DictReader(io.StringIO(text), skipinitialspace=True)
        columns = {str(column).strip().lower(): column for column in reader.fieldnames or ()}
        if "name" not in columns:
            raise ValidationError(
                _("The first line of the file must name its columns, one of which is name.")
            )
        for entry in reader:
            name = (entry[columns["name"]] or "").strip()
            owner = (entry[columns["owner"]] or "").strip() if "owner" in columns else ""
            if name:
                yield name, owner
    except csv.Error as problem:
        raise ValidationError(_("The file is not CSV: %s") % problem) from None
