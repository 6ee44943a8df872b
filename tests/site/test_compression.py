"""Pages go compressed; streams and the API do not."""

import gzip

import pytest

from tests.admin.history import LIST, make_rows

pytestmark = pytest.mark.django_db


def test_a_list_of_requests_is_small_over_the_wire(admin_client):
    make_rows(300, key_name="somebody's laptop", session_id="d98d7635-0000-4000-8000-000000000000")
    answer = admin_client.get(LIST, headers={"accept-encoding": "gzip"})
    assert answer["Content-Encoding"] == "gzip"
    assert len(answer.content) < 30_000
    assert b"result_list" in gzip.decompress(answer.content)


def test_who_asks_for_nothing_gets_plain_text(admin_client):
    assert "Content-Encoding" not in admin_client.get(LIST)


def test_the_same_page_has_another_size_each_time(admin_client):
    sizes = {len(admin_client.get(LIST, headers={"accept-encoding": "gzip"}).content) for _ in range(20)}
    assert len(sizes) > 3


def test_an_export_is_streamed_as_it_is(admin_client):
    make_rows(3)
    answer = admin_client.get(f"{LIST}export.csv", headers={"accept-encoding": "gzip"})
    assert answer.streaming and "Content-Encoding" not in answer
