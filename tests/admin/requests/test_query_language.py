"""What the search box understands."""

from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from hypothesis import given
from hypothesis import strategies as st

from gateway.admin.requests.query_language import FIELDS, read, wanted_words
from gateway.models import ClientKey, RequestLog, SavedView
from tests.admin.history import LIST, make_rows, shown

pytestmark = pytest.mark.django_db


def found(client, text, **more):
    return sorted(shown(client.get(LIST, {"q": text, **more})))


@pytest.fixture
def rows():
    user = User.objects.create_user("emil", is_staff=True)
    key, _ = ClientKey.issue("Emil's laptop", user=user)
    made = make_rows(4)
    facts = [
        {"client_key_id": key.pk, "status": 502, "state": "error", "error_type": "api_error"},
        {"cost": Decimal("0.7"), "tools_called": ["Bash"], "tool_count": 1, "session_id": "d98d7635-aaaa"},
        {"cost": Decimal("0.2"), "duration_ms": 45_000, "upstream_model": "gpt-6"},
        {"provider": "other", "status": 404, "state": "error"},
    ]
    for row, fields in zip(made, facts, strict=True):
        RequestLog.objects.filter(request_id=row.request_id).update(**fields)
    return key


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("key:laptop", [0]),
        ("owner:emil", [0]),
        ("status:5xx", [0]),
        ("status:502 status:404", [0, 3]),
        ("error:api_error", [0]),
        ("cost:>0.5", [1]),
        ("cost:>=0.2 cost:<0.1", [1, 2]),
        ("cost:>$0.1 tool:Bash", [1]),
        ("tool:Bash", [1]),
        ("session:d98d", [1]),
        ("d98d7635", [1]),
        ("seconds:>30", [2]),
        ("model:gpt*", [2]),
        ("provider:other", [3]),
        ("state:failed", [0, 3]),
        ("emil", [0]),
        ("Emil's laptop", [0]),
        ('key:"Emil\'s laptop" status:5xx', [0]),
        ("cost:abc", []),
        ("status:5xx provider:other", []),
        ("time:last-century", []),
    ],
)
def test_fields_hold_together_and_values_of_one_are_alternatives(admin_client, rows, text, numbers):
    assert found(admin_client, text) == [f"req_{number:05}" for number in numbers]


def test_fields_go_with_filters(admin_client, rows):
    assert found(admin_client, "state:failed", status="4xx") == ["req_00003"]


@given(st.text(max_size=80))
def test_any_text_is_read(text):
    asked = read("x:y " + text)
    assert isinstance(asked.words, str)


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize(
    "value", ["x", "0", ">", ">>1", "*", "\x00", "9" * 40, ">1e999", "NaN", '"', "%", "'"]
)
def test_each_field_takes_any_value(admin_client, name, value):
    assert admin_client.get(LIST, {"q": f"{name}:{value}"}).status_code == 200


class TestFilters:
    """The bar above the list."""

    def test_several_values_of_one_filter_are_alternatives(self, admin_client, rows):
        listed = shown(admin_client.get(LIST, {"provider": "main,other", "status": "404,5xx"}))
        assert sorted(listed) == ["req_00000", "req_00003"]

    def test_what_is_filtered_stands_above_the_list_and_is_taken_away_there(self, admin_client, rows):
        text = admin_client.get(LIST, {"status": "4xx,5xx", "state": "error"}).content.decode()
        assert text.count('class="gw-chip"') == 3
        assert 'href="?status=4xx&amp;state=error"' in text or 'href="?state=error&amp;status=4xx"' in text

    def test_the_reason_of_a_failure_stands_in_the_list(self, admin_client, rows):
        RequestLog.objects.filter(status=502).update(error_message="connection <refused>")
        text = admin_client.get(LIST).content.decode()
        assert "<b>api_error</b> connection &lt;refused&gt;" in text

    def test_the_drawer_of_the_theme_is_not_sent(self, admin_client, rows):
        assert b"filterOpen" not in admin_client.get(LIST).content.split(b'id="changelist"')[1]


class TestSavedViews:
    """Filters under a name."""

    ADDRESS = "/admin/gateway/requestlog/views/"

    def save(self, client, **fields):
        facts = {"page": "requestlog", "name": "Failures", "query": "state=failed&p=3", **fields}
        return client.post(self.ADDRESS, facts)

    def test_a_view_is_kept_and_leads_back(self, admin_client, rows):
        assert self.save(admin_client).url == f"{LIST}?state=failed"
        text = admin_client.get(LIST, {"state": "failed"}).content.decode()
        assert 'href="?state=failed" aria-current="true">Failures' in text
        # the same name again replaces it
        self.save(admin_client, query="state=ok")
        assert SavedView.objects.get().query == "state=ok"

    def test_views_of_others_are_seen_when_they_are_shared_and_removed_by_their_owner_alone(
        self, admin_client, client, rows
    ):
        other = User.objects.create_superuser("other", password="p")
        self.save(admin_client, name="Mine")
        self.save(admin_client, name="Ours", shared="on")
        client.force_login(other)
        text = client.get(LIST).content.decode()
        assert "Ours" in text and "Mine" not in text
        client.post(self.ADDRESS, {"page": "requestlog", "remove": SavedView.objects.get(name="Ours").pk})
        assert SavedView.objects.count() == 2

    @pytest.mark.parametrize(
        "fields",
        [{"page": "x"}, {"page": "../../"}, {"name": ""}, {"remove": "x" * 40}, {"query": "\x00" * 9}],
    )
    def test_nonsense_is_no_error(self, admin_client, rows, fields):
        assert self.save(admin_client, **fields).status_code in (302, 403)


class TestPalette:
    """Ctrl-K."""

    def titles(self, client, term):
        cache.clear()
        return client.get("/admin/search/", {"s": term, "extended": 1}).content.decode()

    def test_pages_keys_people_providers_sessions_and_requests_are_found(self, admin_client, provider, rows):
        assert "/admin/gateway/hourlytotal/" in self.titles(admin_client, "cost")
        text = self.titles(admin_client, "emil")
        assert f"/admin/gateway/clientkey/{rows.pk}/change/" in text and "/admin/auth/user/" in text
        assert f"/admin/gateway/provider/{provider.pk}/change/" in self.titles(admin_client, "Main")
        assert "req_00002" in self.titles(admin_client, "req_00002")

    def test_a_member_finds_what_is_theirs(self, client, provider, rows):
        ClientKey.issue("laptop of somebody else")
        client.force_login(User.objects.get(username="emil"))
        text = self.titles(client, "laptop")
        assert "Emil&#x27;s laptop" in text and "somebody else" not in text
        assert "/admin/gateway/provider/" not in self.titles(client, "Main")


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("class:subagent", [0, 2]), ("class:classifier", [1]), ("class:subagent class:classifier", [0, 1, 2]),
     ("agent:explo", [0]), ("effort:high", [2]), ("class:nothing", [])],
)  # fmt: skip
def test_requests_are_found_by_what_they_were(admin_client, text, numbers):
    made = make_rows(4)
    facts = [
        {"request_class": "subagent", "agent_type": "Explore"},
        {"request_class": "auxiliary", "task": "classifier"},
        {"request_class": "subagent", "effort": "high"},
        {"effort": "low"},
    ]
    for row, fields in zip(made, facts, strict=True):
        RequestLog.objects.filter(request_id=row.request_id).update(**fields)
    assert found(admin_client, text) == sorted(made[number].request_id for number in numbers)


def test_the_words_that_a_page_marks_are_those_that_name_no_field():
    assert wanted_words('key:laptop "retry loop" case* status:5xx tool: "" case') == [
        "retry loop", "case", "tool:",
    ]  # fmt: skip
    assert wanted_words("") == []


@pytest.mark.parametrize("text", ["cost:>1e1000000", "seconds:>9e999999", "in:>1e-99999999"])
def test_an_exponent_beyond_every_number_breaks_no_page(admin_client, text):
    assert admin_client.get(LIST, {"q": text}).status_code == 200
