"""Writing the index."""

import pytest
from django.db import connection

from gateway.history.search import index
from gateway.history.search.index import NewText

pytestmark = pytest.mark.django_db


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
def test_texts_are_written_in_one_order_whatever_order_they_come_in(monkeypatch):
    """Two processes that index the same texts would otherwise wait for each other."""
    written = []

    class Noting:
        def many(self, rows):
            written.extend(digest for digest, *_rest in rows)

    monkeypatch.setattr(index, "_PUT_TEXT", Noting())
    digests = [bytes([number]) * 32 for number in (3, 1, 2)]
    index.put([NewText("req_1", digest, "") for digest in digests])
    assert written == sorted(digests)
