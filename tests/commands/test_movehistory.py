"""movehistory: SQLite to a real PostgreSQL, whole, in one go or several, and never over something else."""

import os
import shutil
import sqlite3
import subprocess
import sys

import psycopg
import pytest

from chaos.engines import EngineMissing, Postgres, running
from tests.server.conftest import ROOT, manage, migrated

pytestmark = [pytest.mark.server, pytest.mark.once, pytest.mark.timeout(400)]
BEGIN = "import django; django.setup()\nfrom gateway.management import move\n"
MOVE = "from django.core.management import call_command\ncall_command('movehistory', '--to', URL)\n"
# the connection breaks after some batches
BREAK = """
from django.db import OperationalError
noted, note = [], move._note
def failing(*given):
    noted.append(1)
    if len(noted) > 12:
        raise OperationalError('the connection is lost')
    note(*given)
move._note = failing
"""
# somebody changes a row of the target meanwhile
SPOIL = """
copy = move.copy
def spoiling():
    yield from copy()
    from django.db import connections
    cursor = connections['target'].cursor()
    cursor.execute('UPDATE gateway_requestlog SET duration_ms = 12345678 WHERE id = 7')
move.copy = spoiling
"""


@pytest.fixture(scope="module")
def postgres():
    try:
        engine = Postgres()
    except EngineMissing as problem:
        pytest.skip(f"NOT TESTED: {problem}")
    with running(engine):
        yield engine


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A folder with a database of requests, an admin, a provider, and what SQLite alone takes."""
    folder = tmp_path_factory.mktemp("sqlite")
    env = around(folder)
    shutil.copy(migrated() / "ccproxy.sqlite3", folder)
    manage("seedhistory", "--rows", "600", "--bodies", "60", env=env)
    manage("createclientkey", "somebody", env=env)
    made = (
        "from django.contrib.auth import get_user_model\nfrom gateway.models import *\n"
        "get_user_model().objects.create_superuser('root', '', 'long-enough-for-anybody')\n"
        "p = Provider.objects.create(name='P', slug='p', base_url='https://p.example/v1')\n"
        "p.add_credential('sk-stored-secret')\n"
        "RequestLog.objects.filter(pk=5).update(error_message='nul \\x00 here')\n"
    )
    manage("shell", "-c", made, env=env)
    return folder


def around(folder, **more):
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "VIRTUAL_ENV") if name in os.environ}
    return {
        **kept,
        "CCPROXY_ENV_FILE": os.devnull,
        "DATA_DIR": str(folder),
        "SECRET_KEY": "tests-only",
        "FIELD_ENCRYPTION_KEYS": "dGVzdHMtb25seS1rZXktb2YtMzItYnl0ZXMtbG9uZyE=",
        **more,
    }


def moved(folder, url, *before):
    code = "\n".join([BEGIN, f"URL = {url!r}", *before, MOVE])
    env = around(folder, DJANGO_SETTINGS_MODULE="ccproxy_site.settings")
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )


def counts(folder, url):
    """(rows here, rows there) of some tables."""
    names = ["gateway_requestlog", "gateway_requestbody", "gateway_contentblob", "gateway_contentnode",
             "gateway_hourlytotal", "gateway_clientkey", "gateway_searchtext", "auth_user",
             "auth_group_permissions"]  # fmt: skip
    here = sqlite3.connect(folder / "ccproxy.sqlite3")
    with psycopg.connect(url) as there:
        found = [
            tuple(one.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for one in (here, there))
            for name in names
        ]
    here.close()
    return found


def test_everything_is_there_is_found_and_goes_on_from_there(source, postgres):
    url = postgres.create("whole")
    told = moved(source, url)
    assert told.returncode == 0, told.stderr + told.stdout
    assert "600 rows are the same" in told.stdout
    assert "1 with characters that PostgreSQL does not take" in told.stdout
    assert all(here == there and here for here, there in counts(source, url)), counts(source, url)
    there = around(source, DATABASE_URL=url)
    asked = (
        "from gateway.models import *\nfrom gateway.history.search.index import found\n"
        "print(Provider.objects.get(slug='p').credentials.get().revealed())\n"
        "text = SearchText.objects.order_by('pk').first()\n"
        "print(bool(text))\n"
        "print(RequestLog.objects.order_by('-pk').first().pk < RequestLog.objects.create("
        "request_id='req_new', started_at='2026-01-01T00:00Z', endpoint='messages').pk)\n"
    )
    assert manage("shell", "-c", asked, env=there).stdout.split()[-3:] == ["sk-stored-secret", "True", "True"]
    # it is not empty now, and not half a copy either
    again = moved(source, url)
    assert again.returncode != 0
    assert "is not empty" in again.stderr


def test_an_interrupted_copy_goes_on_where_it_was_and_ends_only_without_a_difference(source, postgres):
    url = postgres.create("interrupted")
    broken = moved(source, url, BREAK)
    assert broken.returncode != 0
    assert "the connection is lost" in broken.stderr
    assert "The same command continues where it stopped" in broken.stderr
    with psycopg.connect(url) as connection:
        (begun,) = connection.execute("SELECT count(*) FROM ccproxy_move").fetchone()
    assert begun > 1
    spoilt = moved(source, url, SPOIL)
    assert spoilt.returncode != 0
    assert "gateway_requestlog: the row 7 differs" in spoilt.stderr
    with sqlite3.connect(source / "ccproxy.sqlite3") as here, psycopg.connect(url) as there:
        (right,) = here.execute("SELECT duration_ms FROM gateway_requestlog WHERE id = 7").fetchone()
        there.execute("UPDATE gateway_requestlog SET duration_ms = %s WHERE id = 7", [right])
    told = moved(source, url)
    assert told.returncode == 0, told.stderr + told.stdout
    assert all(here == there for here, there in counts(source, url))


@pytest.mark.parametrize("url", ["sqlite:///elsewhere.sqlite3", "mysql://a@b/c"])
def test_only_postgresql_is_taken(source, url):
    told = moved(source, url)
    assert told.returncode != 0
    assert "CommandError: --to must name a PostgreSQL database" in told.stderr.splitlines()[-1]


def test_the_index_is_made_anew_from_the_contents(source):
    env = around(source)
    before = counts_of(source)
    assert before
    assert "600 requests indexed" in manage("rebuildindex", env=env).stdout
    assert counts_of(source) == before


def counts_of(folder):
    with sqlite3.connect(folder / "ccproxy.sqlite3") as here:
        return here.execute("SELECT digest, request_id FROM gateway_searchtext ORDER BY digest").fetchall()
