"""Writing the index."""

import threading
import time

import pytest
from django.db import connection, transaction

from gateway.history.search import index
from gateway.history.search.index import NewText
from gateway.models import SearchText

LOW, MIDDLE, HIGH = (bytes([number]) * 32 for number in (1, 2, 3))


@pytest.mark.django_db
def test_a_search_tells_the_newest_first_whatever_the_digests_are():
    index.put([NewText("req_1", HIGH, "word one"), NewText("req_2", LOW, "word two")])
    index.put([NewText("req_3", MIDDLE, "word three"), NewText("req_4", LOW, "word two")])
    assert index.found("word") == ["req_3", "req_2", "req_1"]


@pytest.mark.django_db
def test_a_text_that_comes_twice_belongs_to_the_request_that_brought_it_first():
    index.put([NewText("req_1", HIGH, "word"), NewText("req_2", HIGH, "word"), NewText("req_3", LOW, "")])
    assert index.found("word") == ["req_1"]
    assert dict(SearchText.objects.values_list("digest", "request_id")) == {HIGH: "req_1", LOW: "req_3"}


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("words", ["", "word"])
def test_two_processes_that_index_the_same_texts_never_wait_for_each_other(words):
    """The other one comes to a row of ours and waits. We then write the rest of its texts: were one of them
    written already, neither could go on."""
    problems, other = [], []

    def index_all() -> None:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_backend_pid()")
                other.append(cursor.fetchone()[0])
            with transaction.atomic():
                index.put([NewText("req_1", digest, words) for digest in (HIGH, MIDDLE, LOW)])
        except Exception as problem:
            problems.append(problem)
        finally:
            connection.close()

    thread = threading.Thread(target=index_all)
    with transaction.atomic():
        index.put([NewText("req_2", MIDDLE, words)])
        thread.start()
        assert waits(other, thread)
        index.put([NewText("req_2", HIGH, words)])
    thread.join(60)
    assert problems == [] and not thread.is_alive()
    assert SearchText.objects.count() == 3


def waits(other: list[int], thread: threading.Thread) -> bool:
    """Whether the other process has come to wait for a lock."""
    ends = time.monotonic() + 60
    with connection.cursor() as cursor:
        while thread.is_alive() and time.monotonic() < ends:
            cursor.execute("SELECT 1 FROM pg_locks WHERE NOT granted AND pid = ANY(%s)", [other])
            if cursor.fetchone():
                return True
    return False
