"""The squashed migration makes what those before it make, and disturbs no database that has some of them."""

import importlib
import sqlite3

import psycopg
import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder

from tests.server.conftest import environment, manage
from tests.upgrade.one_by_one import migrate_to

SQUASHED = "0001_squashed_0044_cache_misses"
REPLACED = importlib.import_module(f"gateway.migrations.{SQUASHED}").Migration.replaces
NAMES = [name for _, name in REPLACED]
# only code older than migration 0027 counts in it
LEFT_OUT = "gateway_limitplace"


@pytest.fixture
def planned(monkeypatch):
    """The gateway's migrations that a database with some `applied` would still get, and all of other apps."""
    executor = MigrationExecutor(connection)
    others = [key for key in executor.loader.disk_migrations if key[0] != "gateway"]

    def planned(applied):
        rows = dict.fromkeys([*others, *applied])
        monkeypatch.setattr(MigrationRecorder, "applied_migrations", lambda self: rows)
        executor.loader.build_graph()
        # raises where a migration would come before one that it needs
        executor.loader.check_consistent_history(connection)
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
        return [migration.name for migration, _ in plan]

    return planned


@pytest.mark.django_db
def test_a_database_with_some_of_the_migrations_gets_the_rest_of_them(planned):
    first, *later = planned([])
    assert first == SQUASHED
    for number in range(1, len(NAMES) + 1):
        assert planned(REPLACED[:number]) == [*NAMES[number:], *later]


@pytest.mark.django_db
def test_a_database_with_all_of_them_and_newer_ones_gets_nothing(planned):
    newer = [("gateway", name) for name in planned([])[1:]]
    assert planned([*REPLACED, *newer]) == []


def on_sqlite(path):
    """What a SQLite file is made of, and the rows that migrations left in it."""
    with sqlite3.connect(path) as database:
        made = set(database.execute("SELECT type, name, tbl_name, sql FROM sqlite_master"))
        names = [name for kind, name, *_ in made if kind == "table" and name != "gateway_searchwords"]
        rows = {name: set(database.execute(f"SELECT * FROM {name}")) for name in names}
    return made, rows


@pytest.mark.server
@pytest.mark.once
def test_both_ways_make_the_same_sqlite_database(tmp_path):
    found = []
    for way in ("squashed", "one_by_one"):
        env = environment(tmp_path / way)
        (tmp_path / way).mkdir()
        if way == "one_by_one":
            migrate_to(NAMES[-1], env)
        manage("migrate", "--verbosity", "0", env=env)
        found.append(on_sqlite(tmp_path / way / "ccproxy.sqlite3"))
    (made, rows), (expected, expected_rows) = found
    assert {row for row in made if row[2] != LEFT_OUT} == {row for row in expected if row[2] != LEFT_OUT}
    assert _comparable(rows) == _comparable(expected_rows)


ON_POSTGRESQL = {
    # columns that were dropped leave a gap in the numbers
    "columns": "SELECT table_name, row_number() OVER (PARTITION BY table_name ORDER BY ordinal_position),"
    " column_name, data_type, character_maximum_length,"
    " numeric_precision, numeric_scale, is_nullable, column_default, is_identity"
    " FROM information_schema.columns WHERE table_schema = 'public'",
    "constraints": "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), condeferrable"
    " FROM pg_constraint WHERE connamespace = 'public'::regnamespace",
    "indexes": "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
    "statistics": "SELECT stxrelid::regclass::text, pg_get_statisticsobjdef(oid) FROM pg_statistic_ext",
    "triggers": "SELECT tgrelid::regclass::text, pg_get_triggerdef(oid) FROM pg_trigger"
    " WHERE NOT tgisinternal",
    "sequences": "SELECT sequencename, data_type::text, start_value, increment_by FROM pg_sequences",
}


@pytest.mark.server
@pytest.mark.once
def test_both_ways_make_the_same_postgresql_database(postgres, tmp_path):
    found = []
    for way in ("squashed", "one_by_one"):
        url = postgres.create(f"migrated_{way}")
        (tmp_path / way).mkdir()
        env = environment(tmp_path / way, DATABASE_URL=url)
        if way == "one_by_one":
            migrate_to(NAMES[-1], env)
        manage("migrate", "--verbosity", "0", env=env)
        with psycopg.connect(url) as database:
            made = {
                what: {row for row in database.execute(sql).fetchall() if LEFT_OUT not in row}
                for what, sql in ON_POSTGRESQL.items()
            }
            names = {row[0] for row in made["columns"]}
            rows = {
                name: set(map(str, database.execute(f"SELECT * FROM {name}").fetchall())) for name in names
            }
        found.append((made, rows))
    (made, rows), (expected, expected_rows) = found
    for what in ON_POSTGRESQL:
        assert made[what] == expected[what], what
    assert _comparable(rows) == _comparable(expected_rows)


def _comparable(rows):
    left_out = {LEFT_OUT, "django_migrations", "sqlite_sequence"}
    return {name: found for name, found in rows.items() if name not in left_out}
