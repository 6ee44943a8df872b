"""The search index in tests."""

from django.db import connection


def empty_index():
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("DELETE FROM gateway_searchwords")
        else:
            cursor.execute("INSERT INTO gateway_searchwords (gateway_searchwords) VALUES ('delete-all')")
