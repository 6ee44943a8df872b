"""Every address of the console, taken from the URL resolver, asked by each kind of person.

An address that somebody adds is tried without anybody adding it here. Only a parameter with a new name needs
a value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.models import ContentType
from django.core.cache import cache
from django.db import connection, transaction
from django.db.models import CASCADE
from django.test import Client, RequestFactory
from django.urls import URLPattern, get_resolver

from gateway.admin.requests import replays
from gateway.models import (
    EmergencyStop,
    HourlyOutcome,
    LearntOption,
    LegalHold,
    ModelPrice,
    Retention,
    SavedView,
    SearchEngine,
    SecretPattern,
    TokenFactor,
)
from tests.personal_data.conftest import MARKS, NOW, SECRET_TALK, left
from tests.records import make_mapping, make_provider

__all__ = ["left"]

pytestmark = [
    pytest.mark.django_db,
    # several hundred pages, which take 20 seconds of CPU
    pytest.mark.timeout(400),
    pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume asynchronous iterators"),
]

ROLES = ("anonymous", "Member", "Auditor", "Operator", "Administrator")
# a text of a conversation, which stands in nothing else of a request
CONTENT = f"{SECRET_TALK} 1 {SECRET_TALK}"
CREDENTIAL, HEADER = "sk-live-0123456789-very-secret-WXYZ", "header-secret-0123456789"
# what a parameter stands for whose record is not that of the page
VALUES = {
    "form": ["csv", "jsonl", "nonsense"],
    "part": ["received", "answered", "nonsense"],
    "token": ["nonsense"],
    "app_label": ["gateway", "admin", "auth"],
    "url": ["nowhere/"],
    "step": ["0", "1"],
    "other": ["1"],
    "credential": ["1"],
    "content_type_id": [],
}
# notes that looking leaves: who read a content, and the session of a person
LEFT_BY_LOOKING = {"gateway_contentread", "django_session"}
# what any change leaves: its entry in the log, and the stamp that processes follow
LEFT_BY_CHANGES = {"django_admin_log", "gateway_configstamp", "django_session"}
# things of one's own: signing in and out, the password, the views that one keeps
OF_ONES_OWN = {
    "password_change": {"auth_user"},
    "gateway_requestlog_views": {"gateway_savedview"},
    "gateway_clientkey_rotate": {"gateway_clientkey", *LEFT_BY_CHANGES},
}
# what an action on a record leaves beside it: {the right: tables}
FOLLOWS = {
    "gateway.change_provider": {"gateway_setasidetarget", "gateway_conformancerun"},
    "gateway.change_notificationchannel": {"gateway_delivery"},
}
EVIL = (
    "https://evil.example/x", "//evil.example/x", "https:evil.example", "/\\evil.example", "\\\\evil.example",
    "http:///evil.example", "javascript:alert(1)", "\tjavascript:alert(1)",
    "/admin/\r\nlocation: //evil.example",
)  # fmt: skip


# of the forms that lead to one address
FORMS_TRIED = 2
FOR_EVERYBODY = ("/admin/login/",)
# of what they hold each person sees the own
ONES_OWN_PAGES = ("gateway.requestlog", "gateway.sessiontotal", "gateway.clientkey")
# markup of a cell that was put together as text
ESCAPED = "&lt;span class="
# pages that take another right than that of their record
OTHER_RIGHTS = {"auth_user_revoke_all": "gateway.change_clientkey"}


@dataclass(frozen=True)
class Address:
    route: str
    name: str
    path: str
    model: str = ""

    def __str__(self) -> str:
        return self.path


def routes(resolver=None, before="/") -> Iterator[tuple[str, str]]:
    """Each route of the console with the name of its page."""
    for pattern in (resolver or get_resolver("ccproxy_site.urls")).url_patterns:
        here = before + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            yield (
                re.sub(r"\^|\$|\.\*", "", re.sub(r"\(\?P<(\w+)>[^)]*\)", r"<str:\1>", here)),
                pattern.name or "",
            )
        else:
            yield from routes(pattern, here)


def addresses() -> list[Address]:
    """Every route with records that exist in the place of its parameters."""
    found = []
    for route, name in routes():
        named = re.match(r"/admin/(\w+)/(\w+)/", route)
        model = None
        if named and named[1] in ("gateway", "auth", "admin"):
            model = apps.get_model(named[1], named[2])
        paths = [route]
        for parameter in re.findall(r"<(?:\w+:)?(\w+)>", route):
            if model is not None and parameter in ("pk", "id", "object_id"):
                rows = model._default_manager.order_by("pk")
                # of what has an owner also a record of somebody else
                some = rows[: 2 if model._meta.label_lower in ONES_OWN_PAGES else 1]
                values = [quote(row.pk) for row in some]
            elif parameter == "content_type_id":
                values = [ContentType.objects.get_for_model(User).pk]
            elif parameter == "object_id":
                values = ["1"]
            else:
                values = VALUES[parameter]
            paths = [
                re.sub(rf"<(?:\w+:)?{parameter}>", lambda _, value=value: str(value), path)
                for path in paths
                for value in values
            ]
        label = model._meta.label_lower if model is not None else ""
        found += [Address(route, name, path, label) for path in paths]
    return found


@dataclass
class Written:
    """The tables that were written to."""

    tables: set[str] = field(default_factory=set)

    def __call__(self, execute, sql, params, many, context):
        told = re.match(
            r'\s*(?:INSERT (?:OR \w+ )?INTO|UPDATE|DELETE FROM|REPLACE INTO)\s+"?(\w+)', sql, re.I
        )
        if told:
            self.tables.add(told[1])
        return execute(sql, params, many, context)


@contextmanager
def written():
    """What a request writes; undone afterwards."""
    made = Written()
    with transaction.atomic():
        with connection.execute_wrapper(made):
            yield made
        transaction.set_rollback(True)


@pytest.fixture
def everything(left, admin_user):
    """One of every kind of record, two people with keys, and nobody's page that names the other."""
    provider = make_provider("Main", "main", credential=CREDENTIAL, base_url="http://127.0.0.1:9/v1")
    provider.set_headers({"X-Team-Token": HEADER})
    provider.save()
    make_mapping("claude-*", provider, "gpt-4o")
    LearntOption.objects.create(
        provider="main", upstream_model="gpt-4o", option="max_tokens_field", old_json='"max_tokens"',
        new_json='"max_completion_tokens"', last_at=NOW,
    )  # fmt: skip
    ModelPrice.objects.create(model="m", input=1, output=2)
    TokenFactor.objects.create(provider="main", upstream_model="m", factor=1.3, requests=50, error=0.1)
    SecretPattern.objects.create(name="xy", pattern="xy[0-9]{3,9}")
    LegalHold.objects.create(session_id="s", reason="r")
    Retention.objects.get_or_create(pk=1)
    SearchEngine.objects.create(name="search", kind="brave")
    HourlyOutcome.objects.create(hour=1)
    EmergencyStop.objects.get_or_create(pk=EmergencyStop.ROW)
    SavedView.objects.filter(user=left.other).delete()
    left.other.groups.add(Group.objects.get(name="Member"))
    for role in ROLES[2:]:
        person = User.objects.create_user(role.lower(), is_staff=True)
        person.groups.add(Group.objects.get(name=role))
    Client().get("/admin/login/")
    return left


def person_of(role):
    return (
        None
        if role == "anonymous"
        else User.objects.get(username="otto" if role == "Member" else role.lower())
    )


def signed_in(role, **options):
    client = Client(**options)
    client.raise_request_exception = False
    person = person_of(role)
    if person is not None:
        client.force_login(person)
    return client


def may_write(role) -> set[str]:
    """The tables of the records that the role may add, change or delete, and what hangs on them."""
    person = person_of(role)
    if person is None:
        return set()
    tables = set()
    for model in apps.get_models():
        of = model._meta
        names = [f"{of.app_label}.{action}_{of.model_name}" for action in ("add", "change", "delete")]
        if any(map(person.has_perm, names)):
            tables.add(of.db_table)
            tables |= {relation.m2m_db_table() for relation in of.many_to_many}
        if person.has_perm(names[-1]):
            tables |= hanging_on(model)
    return tables.union(*(told for right, told in FOLLOWS.items() if person.has_perm(right)))


def hanging_on(model) -> set[str]:
    """The tables whose rows go with a row of the model. For records with pages of their own the console asks
    for the right to delete them, too."""
    tables = set()
    for relation in model._meta.get_fields(include_hidden=True):
        child = relation.related_model if relation.auto_created and not relation.concrete else None
        if child is None or child in admin.site._registry or child._meta.db_table in tables:
            continue
        if getattr(relation, "on_delete", None) is CASCADE:
            tables |= {child._meta.db_table, *(hanging_on(child) if child is not model else ())}
    return tables


def text_of(response):
    content = b"".join(response) if response.streaming else response.content
    return content.decode("utf-8", "replace")


class Forms(HTMLParser):
    """What a browser would send from the forms of a page that are posted, for each of their buttons."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path
        self.sent: list[tuple[str, dict[str, str]]] = []
        self._fields: dict[str, str] | None = None
        self._buttons: list[tuple[str, str]] = []
        self._action = self._select = self._area = ""

    def handle_starttag(self, tag, attrs):
        told = {name: value or "" for name, value in attrs}
        if tag == "form":
            posted = told.get("method", "get").lower() == "post"
            self._fields, self._buttons = ({} if posted else None), []
            self._action = urljoin(self.path, told.get("action", "")).partition("#")[0]
            return
        name, value = told.get("name", ""), told.get("value", "")
        if tag == "option":
            if (
                self._fields is not None
                and self._select
                and ("selected" in told or not self._fields.get(self._select))
            ):
                self._fields[self._select] = value
        elif tag == "select":
            self._select = name
        elif self._fields is None or not name:
            return
        elif tag == "textarea":
            self._area = name
            self._fields[name] = ""
        elif tag == "button" or told.get("type") == "submit":
            self._buttons.append((name, value))
        elif tag == "input" and (told.get("type") not in ("checkbox", "radio") or "checked" in told):
            self._fields[name] = value

    def handle_data(self, data):
        if self._area and self._fields is not None:
            self._fields[self._area] += data

    def handle_endtag(self, tag):
        if tag == "select":
            self._select = ""
        elif tag == "textarea":
            self._area = ""
        elif tag == "form" and self._fields is not None:
            fields = {name: value for name, value in self._fields.items() if name != "csrfmiddlewaretoken"}
            self.sent += [
                (self._action, {**fields, name: value}) for name, value in self._buttons or [("", "")]
            ]
            self._fields = None


def forms_of(client, places) -> dict[str, list[dict[str, str]]]:
    """For each path what the forms of all pages, as the client sees them, would send there."""
    found: dict[str, list[dict[str, str]]] = {place.path: [] for place in places}
    for place in places:
        with written():
            response = client.get(place.path)
            if response.status_code != 200 or "text/html" not in response.headers.get("content-type", ""):
                continue
            page = Forms(place.path)
            page.feed(text_of(response))
        for path, sent in page.sent:
            if sent not in found.setdefault(path, []):
                found[path].append(sent)
    return found


def sent_to(place, forms) -> list[dict[str, object]]:
    """Bodies to try at an address: what no form sends, what its own send, and the actions of a list."""
    sent: list[dict[str, object]] = [{"post": "yes", "name": "x", "decision": "accept", "do": "start"}]
    if place.name.endswith("_changelist"):
        model = apps.get_model(place.model)
        rows = [str(row.pk) for row in model._default_manager.order_by("pk")[:1]]
        actions = admin.site._registry[model].get_actions(asking_for_all()).keys()
        sent += [{"action": name, "_selected_action": rows, "post": "yes", "index": "0"} for name in actions]
    return [*sent, *forms.get(place.path, ())[:FORMS_TRIED]]


def asking_for_all():
    request = RequestFactory().get("/")
    request.user = User.objects.get(username="admin")
    return request


def same(client):
    """Undo what an answer did to the cookies of the client."""
    kept = {name: morsel.value for name, morsel in client.cookies.items()}

    def again():
        client.cookies.clear()
        for name, value in kept.items():
            client.cookies[name] = value

    return again


def test_there_is_a_record_for_every_page(everything):
    """Else the walk would only see pages that say that there is none."""
    empty = [model._meta.label for model in admin.site._registry if not model._default_manager.exists()]
    assert empty == []


def once_for(*roles):
    """Every role; these are not run again on another engine."""
    return [pytest.param(role, marks=pytest.mark.once) if role in roles else role for role in ROLES]


# a member's pages ask for the own records, and all others for what the administrator's ask for
@pytest.mark.parametrize("role", once_for("anonymous", "Auditor", "Operator"))
def test_looking_changes_nothing_and_shows_what_the_role_may_see(everything, role):
    client, person, wrong = signed_in(role), person_of(role), []
    again = same(client)
    for place in addresses():
        with written() as made:
            response = client.get(place.path)
            text = text_of(response)
        again()
        code = response.status_code
        if code >= 500:
            wrong.append((place.path, code))
        if made.tables - LEFT_BY_LOOKING:
            wrong.append((place.path, "writes", made.tables))
        hidden = [CREDENTIAL, HEADER, ESCAPED]
        if role == "Member" or role == "anonymous":
            hidden += MARKS
        elif role == "Operator":
            hidden.append(CONTENT)
        wrong += [(place.path, "shows", mark) for mark in hidden if mark in text]
        if code == 200 and person is None and place.path not in FOR_EVERYBODY:
            wrong.append((place.path, "is open"))
        if code == 200 and person is not None and place.model and place.model not in ONES_OWN_PAGES:
            app, _, name = place.model.partition(".")
            rights = [f"{app}.{action}_{name}" for action in ("view", "change")]
            if not any(map(person.has_perm, [*rights, OTHER_RIGHTS.get(place.name, rights[0])])):
                wrong.append((place.path, "is shown without the right"))
    assert wrong == []


@pytest.mark.once
@pytest.mark.parametrize("role", ROLES)
def test_nothing_is_taken_without_a_token(everything, role):
    client, wrong = signed_in(role, enforce_csrf_checks=True), []
    for place in addresses():
        with written() as made:
            code = client.post(place.path, {"post": "yes", "action": "delete_selected"}).status_code
        if code != 403 or made.tables:
            wrong.append((place.path, code, made.tables))
    assert wrong == []


@pytest.mark.once
@pytest.mark.parametrize("role", ROLES)
def test_a_role_changes_only_what_it_has_a_right_for(everything, role, monkeypatch):
    # it would start a gateway, whose threads wait for the transaction that is undone here
    monkeypatch.setattr(replays, "_ask", lambda *_asked: None)
    places = addresses()
    forms = forms_of(signed_in("Administrator"), places)
    client, may, wrong = signed_in(role), may_write(role) | LEFT_BY_LOOKING, []
    again = same(client)
    if may != LEFT_BY_LOOKING:
        may |= LEFT_BY_CHANGES
    for place in places:
        for sent in sent_to(place, forms):
            with written() as made:
                response = client.post(place.path, sent)
                text_of(response)
            again()
            own = OF_ONES_OWN.get(place.name, set()) if role != "anonymous" else set()
            if response.status_code >= 500 or made.tables - may - own:
                wrong.append((place.path, response.status_code, made.tables - may - own, sent))
    assert not wrong, "\n".join(map(str, wrong))


def elsewhere(where: str) -> bool:
    """Whether a browser would leave for an address of EVIL, or run it."""
    where = re.sub(r"[\t\r\n]", "", where).strip().replace("\\", "/").lower()
    split = urlsplit(where)
    return (
        split.scheme == "javascript"
        or "evil.example" in split.netloc
        or (
            not split.netloc
            and "evil.example" in split.path
            and (split.scheme != "" or where.startswith("//"))
        )
    )


@pytest.mark.once
@pytest.mark.parametrize("evil", EVIL)
def test_a_sign_in_leads_nowhere_else(client, evil):
    # what other tests failed with counts for the address
    cache.clear()
    User.objects.create_superuser("root", password="a-password-of-theirs")
    sent = {"username": "root", "password": "a-password-of-theirs", "next": evil}
    response = client.post("/admin/login/", sent)
    assert response.status_code == 302
    assert not elsewhere(response["location"])
