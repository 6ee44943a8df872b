"""The page of the live tail."""

from gateway.models.history.request_log import State
from tests.admin.history import HOSTILE, LIST, make_rows, one_row


def test_the_page_begins_with_the_newest_rows(admin_client, db):
    one_row(key_name=HOSTILE)
    page = admin_client.get(f"{LIST}live/")
    text = page.content.decode()
    assert "req_00000" in text
    assert HOSTILE not in text
    assert "live.js" in text


def test_no_more_rows_are_sent_than_are_shown(admin_client, db):
    make_rows(300)
    latest = admin_client.get(f"{LIST}live/").context["latest"]
    assert [latest[0]["request_id"], latest[-1]["request_id"]] == ["req_00100", "req_00299"]


def test_the_page_needs_the_right_to_see_the_history(clerk, db):
    assert clerk("view_provider").get(f"{LIST}live/").status_code == 403


def test_the_page_s_script_is_told_the_words_it_says(admin_client):
    page = admin_client.get(f"{LIST}live/", headers={"accept-language": "zh-CN"})
    told = page.context["words"]
    assert told["s"] == "秒"
    assert told["states"]["cancelled"] == "客户端已取消"
    assert set(told["states"]) == set(State.values)
