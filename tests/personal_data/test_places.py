"""No table may hold something of a person that an export and an erasure do not know of."""

from django.apps import apps
from django.contrib.auth.models import User

from gateway.models import ClientKey, RequestLog
from gateway.personal_data.places import PLACES, AfterErasure

PEOPLE = (User, ClientKey, RequestLog)
# names that columns have when they say who somebody is, or which request something belongs to
TELLING = {
    "owner", "owner_id", "holder", "user_pk", "user_name", "key_name", "client_key_id", "client_key_pk",
    "request_id", "answer_id", "judge_id", "check_id", "replay_of", "caller_request_id",
    "upstream_request_id", "session", "session_id", "agent_id", "parent_agent_id", "prompt_id", "address",
    "addresses", "client_address", "last_address", "email",
}  # fmt: skip
# processes hold leases
NOT_PEOPLE = {("gateway.Lease", "holder")}


def models():
    return apps.get_models(include_auto_created=True)


def links(model):
    """The columns of a model that lead to a person, by what they are and by their names."""
    for field in model._meta.concrete_fields:
        telling = field.related_model in PEOPLE or (field.name in TELLING and model is not User)
        if telling and (model._meta.label, field.name) not in NOT_PEOPLE:
            yield field.name


def test_every_kind_of_record_has_its_fate():
    assert {model._meta.label for model in models()} == set(PLACES)


def test_every_column_that_leads_to_a_person_is_known():
    for model in models():
        place = PLACES[model._meta.label]
        missing = set(links(model)) - set(place.links)
        told = (
            f"{model._meta.label}: say in gateway/personal_data/places.py what an erasure does with {missing}"
        )
        assert not missing, told
        assert place.fate is not AfterErasure.NOTHING or not place.links, model._meta.label


def test_every_link_is_a_field():
    for label, place in PLACES.items():
        names = {field.name for field in apps.get_model(label)._meta.get_fields()}
        assert set(place.links) <= names, label
