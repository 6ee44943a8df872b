"""Problems as an admin sees and decides them."""

import pytest
from django.utils import timezone

from gateway.history.record.rows import write
from gateway.models import ClientKey, Problem
from gateway.watch.problems import count_new
from tests.admin.pages import url
from tests.watch.test_problems import failed

pytestmark = pytest.mark.django_db
HOSTILE = "<script>alert(1)</script>"
LIST = "/admin/gateway/problem/"


@pytest.fixture
def problem():
    key, _ = ClientKey.issue("Emil")
    write([failed(number, f"{HOSTILE} no route", client_key_id=key.pk) for number in range(3)])
    count_new()
    return Problem.objects.get()


def test_open_problems_are_listed_with_whom_they_hit_and_their_curve(admin_client, problem):
    text = admin_client.get(LIST).content.decode()
    assert "no route" in text and HOSTILE not in text
    assert "3 failures in the last 24 hours" in text
    assert "acme" in text


def test_the_page_leads_to_its_requests(admin_client, problem):
    text = admin_client.get(url("problem", "change", problem.pk)).content.decode()
    assert "Emil" in text and HOSTILE not in text
    listed = admin_client.get("/admin/gateway/requestlog/", {"problem": problem.pk})
    assert len(listed.context["cl"].result_list) == 3


@pytest.mark.parametrize("nonsense", ["x", "-1", "9" * 30, "0"])
def test_a_problem_that_there_is_not_has_no_requests(admin_client, problem, nonsense):
    listed = admin_client.get("/admin/gateway/requestlog/", {"problem": nonsense})
    assert len(listed.context["cl"].result_list) == 0


@pytest.mark.parametrize(
    ("decision", "state"), [("resolve", "resolved"), ("ignore-day", "ignored"), ("ignore", "ignored")]
)
def test_what_is_decided_leaves_the_list_and_says_who_did_it(
    admin_client, admin_user, problem, decision, state
):
    admin_client.post(url("problem", "decide", problem.pk), {"decision": decision})
    problem.refresh_from_db()
    assert (problem.state, problem.decided_by) == (state, admin_user)
    assert "no route" not in admin_client.get(LIST).content.decode()
    assert "no route" in admin_client.get(LIST, {"state": state}).content.decode()
    assert bool(problem.ignored_until and problem.ignored_until > timezone.now()) == (
        decision == "ignore-day"
    )


def test_deciding_takes_the_right_to(clerk, problem):
    client = clerk("view_problem")
    assert client.get(url("problem", "change", problem.pk)).status_code == 200
    assert client.post(url("problem", "decide", problem.pk), {"decision": "resolve"}).status_code == 403
    problem.refresh_from_db()
    assert problem.state == "open"


def test_the_list_takes_the_same_number_of_queries_for_many(
    admin_client, problem, django_assert_max_num_queries
):
    words = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta")
    write([failed(100 + number, word) for number, word in enumerate(words)])
    count_new()
    with django_assert_max_num_queries(12):
        admin_client.get(LIST)


def test_what_needs_attention_is_a_piece_of_its_own(admin_client, clerk, problem):
    write([failed(100 + number) for number in range(6)])
    count_new()
    assert "Needs attention" in admin_client.get("/admin/gateway/problem/attention/").content.decode()
    assert clerk("view_problem").get("/admin/gateway/problem/attention/").status_code == 403
