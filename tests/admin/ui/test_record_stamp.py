"""Two people who save one form: the second is told what the first changed."""

import re
from datetime import timedelta
from html import unescape

import pytest
from django.forms import MultipleChoiceField

from gateway.models import (
    ClientKey,
    LegalHold,
    ModelMapping,
    ModelPrice,
    Provider,
    Retention,
    SearchEngine,
    SecretPattern,
)  # fmt: skip
from tests.admin.pages import url
from tests.records import make_mapping, make_provider


def filled(page) -> dict[str, str]:
    """The values that a browser would send back."""
    form = page.context["adminform"].form
    values = {}
    formsets = [one.formset for one in page.context["inline_admin_formsets"]]
    for part in (
        form,
        *(one.management_form for one in formsets),
        *(f for one in formsets for f in one.forms),
    ):
        for bound in part:
            value = bound.value()
            name = bound.html_name
            subwidgets = getattr(bound.field.widget, "widgets", None)
            if subwidgets:
                for place, piece in enumerate(bound.field.widget.decompress(value)):
                    values[f"{name}_{place}"] = "" if piece is None else str(piece)
            elif isinstance(bound.field, MultipleChoiceField):
                # of boxes that are not ticked a browser sends nothing
                values |= {name: value} if value else {}
            elif isinstance(value, bool):
                values |= {name: "on"} if value else {}
            elif value is not None:
                values[name] = "\n".join(map(str, value)) if isinstance(value, list) else str(value)
    found = re.search(r'name="_record_stamp" value="([^"]*)"', page.content.decode())
    return values | {"_record_stamp": unescape(found[1])}


def records():
    provider = make_provider("Pqr", "pqr", credentials=("a",))
    return {
        "provider": (provider, "name", "Other", {"enabled": False}),
        "modelmapping": (make_mapping("claude-*", provider, "m"), "note", "n", {"enabled": False}),
        "clientkey": (ClientKey.issue("k")[0], "name", "new", {"requests_per_minute": 5}),
        "modelprice": (ModelPrice.objects.create(model="m", input=1, output=2), "input", "3", {"output": 9}),
        "retention": (Retention.objects.get_or_create(pk=1)[0], "body_days", "30", {"row_days": 60}),
        "legalhold": (LegalHold.objects.create(session_id="s", reason="r"), "reason", "q",
                      {"session_id": "t"}),
        "secretpattern": (SecretPattern.objects.create(name="xy", pattern="xy[0-9]"), "literal", "xy",
                          {"enabled": False}),
        "searchengine": (SearchEngine.objects.create(name="e", kind="brave"), "name", "f",
                         {"enabled": False}),
    }  # fmt: skip


@pytest.mark.parametrize(
    "kind",
    ["provider", "modelmapping", "clientkey", "modelprice", "retention", "legalhold", "secretpattern",
     "searchengine"],
)  # fmt: skip
def test_the_second_of_two_people_is_told_what_changed_and_overwrites_nothing(admin_client, kind):
    record, field, mine, theirs = records()[kind]
    address = url(kind, "change", record.pk)
    sent = filled(admin_client.get(address)) | {field: mine}
    for name, value in theirs.items():
        setattr(record, name, value)
    record.save()

    page = admin_client.post(address, sent)

    assert page.status_code == 200
    [problem] = page.context["adminform"].form.non_field_errors()
    [(name, value)] = theirs.items()
    title = record._meta.get_field(name).verbose_name
    assert "Not saved" in problem and f"{title}: {'no' if value is False else value}" in problem
    record.refresh_from_db()
    assert getattr(record, name) == value and str(getattr(record, field)) != mine
    # who saves once more has decided
    again = admin_client.post(address, filled_stamp(page, sent))
    assert again.status_code == 302, again.context["errors"]
    record.refresh_from_db()
    assert str(getattr(record, field)) in (mine, f"{mine}.000000")


def filled_stamp(page, sent):
    found = re.search(r'name="_record_stamp" value="([^"]*)"', page.content.decode())
    return sent | {"_record_stamp": unescape(found[1])}


def test_a_credential_or_a_target_that_changed_counts_too(admin_client):
    provider = make_provider("Pqr", "pqr", credentials=("a",))
    mapping = make_mapping("claude-*", provider, "m")
    for kind, record, change in (
        ("provider", provider, lambda: provider.credentials.all().delete()),
        ("modelmapping", mapping, lambda: mapping.targets.update(upstream_model="other")),
    ):
        address = url(kind, "change", record.pk)
        sent = filled(admin_client.get(address))
        change()
        assert "Not saved" in str(admin_client.post(address, sent).context["adminform"].form.errors)


def test_an_unchanged_record_and_facts_beside_the_configuration_refuse_nothing(admin_client):
    record, _ = ClientKey.issue("k")
    address = url("clientkey", "change", record.pk)
    sent = filled(admin_client.get(address)) | {"name": "new"}
    ClientKey.objects.filter(pk=record.pk).update(last_used=record.created + timedelta(1))
    assert admin_client.post(address, sent).status_code == 302


@pytest.mark.parametrize("stamp", ["x", "[]", "1", "[" * 100_000, '{"name": 1}'])
def test_a_stamp_that_is_none_is_no_error_of_ours(admin_client, stamp):
    record, _ = ClientKey.issue("k")
    address = url("clientkey", "change", record.pk)
    sent = filled(admin_client.get(address)) | {"_record_stamp": stamp}
    assert admin_client.post(address, sent).status_code == 200


def test_a_stamp_tells_no_secret(admin_client):
    provider = make_provider("Pqr", "pqr", credentials=("the-credential",))
    sent = filled(admin_client.get(url("provider", "change", provider.pk)))
    assert "the-credential" not in str(sent)
    assert Provider.objects.count() == ModelMapping.objects.count() + 1
