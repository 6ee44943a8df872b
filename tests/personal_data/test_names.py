"""A person's names go from what stays, and from nothing that is only called like them."""

import json
from urllib.parse import parse_qs

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User

from gateway.config.change_entries import changes_of
from gateway.config.changes import acting
from gateway.config.undoing import undo
from gateway.models import (
    ClientKey,
    Dataset,
    Delivery,
    Evaluation,
    ManagedPolicy,
    ModelMapping,
    Notice,
    Provider,
    SavedView,
)
from gateway.personal_data.erasure import begin, carry_on
from gateway.personal_data.wording import without
from tests.personal_data.conftest import FIRST, KEY, MAIL, NAME, NOW

pytestmark = pytest.mark.django_db(transaction=True)


def erased(left, by=None):
    return carry_on(begin(left.person, by, NOW), NOW, left.spool)


def called(left, name):
    """The person with another name."""
    User.objects.filter(pk=left.person.pk).update(username=name)
    left.person.refresh_from_db()
    return f"erased-{left.person.pk}"


def test_conditions_notes_views_and_deliveries_of_others_name_nobody(left, admin_user):
    instead = f"erased-{left.person.pk}"
    erased(left, admin_user)
    mapping = ModelMapping.objects.get()
    assert mapping.when == {"owner": [instead, "otto"], "key": [f"{instead}-1"]}
    assert mapping.note == f"asked for by {instead}"
    view = SavedView.objects.get()
    assert view.name == f"what {instead} asks"
    assert parse_qs(view.query) == {"owner": [instead], "q": [instead], "provider": ["p"]}
    assert Delivery.objects.get().problem == f"550 {instead}: unknown"


def test_a_key_that_others_have_by_the_same_name_stays_in_conditions(left, admin_user):
    ClientKey.issue(KEY, user=left.other)
    erased(left, admin_user)
    assert ModelMapping.objects.get().when["key"] == [KEY]


def test_conditions_name_an_owner_in_any_case_and_however_short(left, admin_user):
    instead = called(left, "Al")
    ModelMapping.objects.update(when={"owner": ["al", "AL "], "header": {"x-team": ["al"]}})
    erased(left, admin_user)
    assert ModelMapping.objects.get().when == {"owner": [instead], "header": {"x-team": ["al"]}}


def test_texts_that_become_the_same_are_told_apart(left, admin_user):
    instead = f"erased-{left.person.pk}"
    first = Dataset.objects.create(name=f"{NAME}: steps")
    second = Dataset.objects.create(name=f"{FIRST} van der Berg: steps")
    views = [
        SavedView.objects.create(user=left.other, page="p", name=f"of {name}")
        for name in (NAME, f"{FIRST} van der Berg")
    ]
    erased(left, admin_user)
    texts = [model.objects.get(pk=pk).name for model, pk in ((Dataset, first.pk), (Dataset, second.pk))]
    assert sorted(texts) == sorted([f"{instead}: steps", f"{instead}: steps-{second.pk}"])
    found = [SavedView.objects.get(pk=view.pk).name for view in views]
    assert found == [f"of {instead}", f"of {instead}-{views[1].pk}"]


def test_longer_texts_are_cut_to_their_columns(left, admin_user):
    called(left, "bob")
    texts = {
        "data": Dataset.objects.create(name="bob " * 25),
        "evaluation": Evaluation.objects.create(
            name="bob " * 25, dataset=Dataset.objects.first(), provider="p", problem="bob " * 125
        ),
        "notice": Notice.objects.create(
            key="k", text="bob " * 250, urgency="hint", began_at=NOW, seen_at=NOW
        ),
        "mapping": ModelMapping.objects.create(pattern="n", note="bob " * 125),
    }  # fmt: skip
    LogEntry.objects.create(user=admin_user, action_flag=2, object_repr="bob " * 50, change_message="[]")
    erased(left, admin_user)
    for record in (*texts.values(), *LogEntry.objects.all()):
        record.refresh_from_db()
        for field in record._meta.concrete_fields:
            value = getattr(record, field.attname)
            assert field.max_length is None or len(value) <= field.max_length, field
            assert not (isinstance(value, str) and "bob " in value), field


def test_an_account_that_has_the_new_name_already_stops_nothing(left, admin_user):
    User.objects.create_user(f"erased-{left.person.pk}")
    assert erased(left, admin_user).unnamed_at
    person = User.objects.get(pk=left.person.pk)
    assert person.username.startswith(f"erased-{person.pk}-")


@pytest.mark.parametrize("name", ["test", "openai", "name", "slug"])
def test_undoing_changes_of_things_that_are_called_like_the_person_restores_them(left, admin_user, name):
    instead = called(left, name)
    with acting(admin_user):
        provider = Provider.objects.create(name=name, slug=name, base_url="https://test.example/v1")
        mapping = ModelMapping.objects.create(
            pattern=name,
            public_names=[name],
            when={"owner": [name], "header": {"x-team": [name]}},
            note=f"{name} is a {name}",
        )
        mapping.lead_to(provider, name)
    with acting(admin_user):
        provider.name, provider.slug = "new", "new"
        provider.save()
        mapping.pattern, mapping.note, mapping.when = "new", "new", {}
        mapping.save()
    newest = {
        type(one): LogEntry.objects.filter(content_type__model=one._meta.model_name, object_id=str(one.pk))
        .order_by("-pk")
        .first()
        for one in (provider, mapping)
    }
    erased(left, admin_user)
    for entry in newest.values():
        entry.refresh_from_db()
        undo(entry)
    provider.refresh_from_db()
    mapping.refresh_from_db()
    assert (provider.name, provider.slug) == (name, name)
    assert (mapping.pattern, mapping.public_names) == (name, [name])
    # what says who is reworded, as it is in the record
    assert mapping.when == {"owner": [instead], "header": {"x-team": [name]}}
    assert mapping.note == f"{instead} is a {instead}"
    assert mapping.targets.get().upstream_model == name
    told = [one for one in LogEntry.objects.filter(content_type__model="provider") if changes_of(one)]
    assert told and all(one.object_repr in (name, "new") for one in told)


def test_undoing_a_change_of_a_mapping_that_the_erasure_reworded_goes_on_as_before(left, admin_user):
    instead = f"erased-{left.person.pk}"
    mapping = ModelMapping.objects.get()
    with acting(admin_user):
        mapping.note = f"{NAME} wants it"
        mapping.save()
    entry = LogEntry.objects.filter(content_type__model="modelmapping").order_by("-pk").first()
    erased(left, admin_user)
    entry.refresh_from_db()
    undo(entry)
    assert ModelMapping.objects.get().note == f"asked for by {instead}"


def test_what_was_theirs_and_deleted_before_is_named_no_more(left, admin_user):
    policy = ManagedPolicy.objects.get()
    entries = LogEntry.objects.filter(content_type__model="managedpolicy", object_id=str(policy.pk))
    with acting(admin_user):
        policy.delete()
    erased(left, admin_user)
    said = json.dumps(list(entries.values_list("object_repr", "change_message")))
    assert entries.count() > 1 and NAME not in said and MAIL not in said


def test_the_same_text_in_anothers_key_goes_as_an_owner_and_stays_as_a_name(left, admin_user):
    with acting(admin_user):
        key, _ = ClientKey.issue(NAME, owner=NAME)
    instead = f"erased-{left.person.pk}"
    erased(left, admin_user)
    key.refresh_from_db()
    assert (key.name, key.owner) == (NAME, instead)


def test_somebody_whose_name_is_a_word_takes_no_other_names_away(left, admin_user):
    left.person.username = "test"
    left.person.save()
    LogEntry.objects.create(
        user=admin_user, action_flag=2, object_repr="test-model @ test", change_message="[]", object_id="1"
    )
    erased(left, admin_user)
    texts = set(LogEntry.objects.values_list("object_repr", flat=True))
    assert f"test-model @ erased-{left.person.pk}" in texts


def test_others_whose_key_has_the_same_name_keep_it(left, admin_user):
    with acting(admin_user):
        same, _ = ClientKey.issue(KEY, user=left.other)
    erased(left, admin_user)
    assert ClientKey.objects.get(pk=same.pk).name == KEY
    entry = LogEntry.objects.get(content_type__model="clientkey", object_id=str(same.pk))
    assert entry.object_repr == str(same) and KEY in entry.change_message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ana: 90 %", "X: 90 %"),
        ("ana.", "X."),
        ("banana, ana-lytics, ana@b.c, anatol", "banana, ana-lytics, ana@b.c, anatol"),
        ("(ana) ana ana", "(X) X X"),
        ("ana", "X"),
        ("", ""),
    ],
)
def test_a_name_goes_as_a_whole_word(text, expected):
    assert without(text, ["ana"], "X") == expected


def test_a_name_in_its_replacement_ends(monkeypatch):
    assert without("erased erased-7", ["erased"], "erased-7") == "erased-7 erased-7"
