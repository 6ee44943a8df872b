"""Every page of the console in Chinese, with data: no word of the English interface is left."""

import re
from html.parser import HTMLParser

import pytest
from django.contrib import admin as django_admin
from django.contrib.admin.utils import label_for_field
from django.urls import reverse
from django.utils.translation import override

from gateway.admin.requests.request_page import TABS
from gateway.models import (
    ClientKey,
    ConfigRecord,
    ConformanceRun,
    LegalHold,
    ModelPrice,
    SearchEngine,
    SecretPattern,
    SessionTotal,
)
from tests.admin.history import keep, one_row
from tests.records import make_mapping, make_provider
from tests.translations.test_catalogues import HAN, catalogue, chinese, singular

# words, and not what the rows are
pytestmark = pytest.mark.once
RECORDS = [
    "clientkey", "learntoption", "modelmapping", "modelprice", "provider", "requestlog", "retention",
    "legalhold", "secretpattern", "contentread", "searchengine", "sessiontotal", "tokenfactor",
    "emergencystop",
]  # fmt: skip
EDITED = [
    "clientkey", "modelmapping", "modelprice", "provider", "legalhold", "secretpattern", "searchengine",
]  # fmt: skip
# what is no language: names of products and protocols, addresses, code
NAMES = re.compile(
    r"\b(Claude Code|Brave Search|Chat Completions|Messages|Responses|llama\.cpp|LM Studio|Azure OpenAI|"
    r"Other server with a Messages API|GET /v1/models|manage\.py \w+|docs/[\w.]+|OpenAI|OpenRouter)\b"
)
# texts of these elements are what people and machines wrote
CODE = {"script", "style", "code", "pre", "textarea", "datalist"}
SPOKEN = ("title", "placeholder", "aria-label", "alt", "data-busy", "data-copied", "data-go-on", "data-pause")
WORDS = {
    singular(message).lower() for message in catalogue("gateway") if chinese(message) != singular(message)
}
SENTENCES = [word for word in WORDS if " " in word and "%" not in word and "{" not in word]
PROSE = re.compile(r"\b[A-Za-z]?[a-z]+ [a-z]+ [a-z]{2,}\b")


class Visible(HTMLParser):
    """The texts that a reader of a page sees or hears."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._hidden: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        classes = dict(attrs).get("class") or ""
        # an icon is a word for its font, and no word for a reader
        if tag in CODE or "material-symbols" in classes:
            self._hidden.append(tag)
        self.texts += [value for name, value in attrs if name in SPOKEN and value]

    def handle_endtag(self, tag):
        if self._hidden and self._hidden[-1] == tag:
            self._hidden.pop()

    def handle_data(self, data):
        if not self._hidden:
            self.texts.append(data)


def english(page: str) -> list[str]:
    """Texts of a page that are words of the interface, or prose, in English."""
    found = []
    for text in Visible(page).texts:
        plain = " ".join(NAMES.sub(" ", text).split())
        if (
            plain.lower() in WORDS
            or PROSE.search(plain)
            or any(sentence in plain.lower() for sentence in SENTENCES)
        ):
            found.append(plain)
    return found


@pytest.fixture
def reader(admin_client, admin_user):
    """An administrator whose browser wants Chinese."""
    admin_user.username = "xya"
    admin_user.save()
    admin_client.defaults["HTTP_ACCEPT_LANGUAGE"] = "zh-CN,zh;q=0.9"
    return admin_client


@pytest.fixture
def records(db, admin_user):
    """One of everything; what people would name is named with letters that are no words."""
    provider = make_provider("Pqr", "pqr", credentials=("a", "b"))
    mapping = make_mapping("claude-*", provider, "gpt-4o")
    key, _ = ClientKey.issue("Xyz", allowed_models=["claude-*"])
    revoked, _ = ClientKey.issue("Xyw")
    revoked.revoke()
    row = one_row(
        client_key=key, key_name="Xyz", cost="0.5", state="error", attempts=2, ledger=[], ledger_count=0
    )
    keep(row, {}, b'{"model": "m", "messages": [{"role": "user", "content": "Xy"}]}', b"{}", b"{}", b"{}")
    session = SessionTotal.objects.create(
        session_id="session-1", first_at=row.started_at, last_at=row.started_at, requests=1, key_name="Xyz"
    )
    return {
        "provider": provider,
        "modelmapping": mapping,
        "clientkey": key,
        "requestlog": row,
        "sessiontotal": session,
        "modelprice": ModelPrice.objects.create(model="gpt-4o", input=1, output=2),
        "legalhold": LegalHold.objects.create(session_id="session-1", reason="Xy"),
        "secretpattern": SecretPattern.objects.create(name="xy", pattern="xy[0-9]+"),
        "searchengine": SearchEngine.objects.create(name="Xy", kind="brave"),
        "run": ConformanceRun.objects.create(provider=provider, upstream_model="gpt-4o"),
    }


def own_pages(records):
    pk = {name: record.pk for name, record in records.items()}
    request = reverse("admin:gateway_requestlog_change", args=[pk["requestlog"]])
    return [
        reverse("admin:index"),
        reverse("admin:gateway_clientkey_bulk"),
        reverse("admin:gateway_clientkey_rotate", args=[pk["clientkey"]]),
        reverse("admin:gateway_modelmapping_where") + "?model=claude-x",
        reverse("admin:gateway_provider_conformance", args=[pk["provider"]]),
        reverse("admin:gateway_provider_test", args=[pk["provider"]]),
        reverse("admin:gateway_requestlog_live"),
        *(f"{request}?tab={tab}" for tab in TABS),
        reverse("admin:auth_user_changelist"),
        reverse("admin:auth_user_add"),
        reverse("admin:auth_group_changelist"),
        reverse("admin:admin_logentry_changelist"),
        reverse("admin:password_change"),
    ]


@pytest.mark.parametrize("record", RECORDS)
def test_lists_speak_chinese(reader, records, record):
    page = reader.get(reverse(f"admin:gateway_{record}_changelist"), follow=True)
    assert page.status_code == 200
    assert english(page.content.decode()) == []


@pytest.mark.parametrize("record", RECORDS)
def test_empty_lists_speak_chinese(reader, record):
    page = reader.get(reverse(f"admin:gateway_{record}_changelist"), follow=True)
    assert page.status_code == 200
    assert english(page.content.decode()) == []


@pytest.mark.parametrize(
    "record",
    ["clientkey", "modelmapping", "modelprice", "provider", "legalhold", "secretpattern", "searchengine"],
)
def test_forms_speak_chinese(reader, records, record):
    for page in (
        reader.get(reverse(f"admin:gateway_{record}_add")),
        reader.get(reverse(f"admin:gateway_{record}_change", args=[records[record].pk])),
        reader.post(reverse(f"admin:gateway_{record}_add"), {}),
        reader.get(reverse(f"admin:gateway_{record}_history", args=[records[record].pk]), follow=True),
    ):
        assert page.status_code == 200
        assert english(page.content.decode()) == []


def test_pages_of_our_own_speak_chinese(reader, records):
    for address in own_pages(records):
        page = reader.get(address)
        assert page.status_code == 200, address
        assert (address, english(page.content.decode())) == (address, [])


@pytest.mark.parametrize("admin", django_admin.site._registry.values(), ids=lambda one: one.opts.model_name)
def test_columns_of_lists_have_chinese_headings(rf, admin_user, admin):
    request = rf.get("/")
    request.user = admin_user
    with override("zh-hans"):
        columns = admin.get_list_display(request)
        headings = [str(label_for_field(one, admin.model, admin)) for one in columns if one != "__str__"]
    assert [heading for heading in headings if not HAN.search(heading)] == []


@pytest.mark.parametrize("record", ConfigRecord.__subclasses__(), ids=lambda one: one.__name__)
def test_the_fields_that_a_change_may_name_have_chinese_names(record):
    with override("zh-hans"):
        names = {field.name: str(field.verbose_name) for field in record._meta.concrete_fields}
    assert [name for name, said in names.items() if name != "id" and not HAN.search(said)] == []


def test_english_pages_are_seen_to_be_english(admin_client, records):
    """The check can fail: the same pages in English are full of it."""
    found = english(admin_client.get(reverse("admin:index")).content.decode())
    assert "Model mappings" in found
