"""Files with secrets are for their owner alone."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from ccproxy_site import first_secrets

ROOT = Path(__file__).parent.parent.parent


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(
    ("before", "after"), [(0o644, 0o600), (0o666, 0o600), (0o640, 0o640), (0o600, 0o600)]
)
def test_a_file_that_everybody_may_read_becomes_its_owners(tmp_path, before, after):
    path = tmp_path / ".env"
    path.write_text("A=1\n")
    path.chmod(before)
    first_secrets.keep_from_others(path)
    assert mode(path) == after


def test_what_is_no_file_keeps_its_permissions(tmp_path):
    path = tmp_path / "device"
    os.mkfifo(path)
    path.chmod(0o666)
    first_secrets.keep_from_others(path)
    assert mode(path) == 0o666


def test_an_env_file_that_was_copied_is_closed_before_secrets_go_into_it(tmp_path, monkeypatch):
    path = tmp_path / ".env"
    path.write_text("SECRET_KEY=\n")
    path.chmod(0o644)
    monkeypatch.setattr(first_secrets, "ENV_FILE", path)
    first_secrets.main()
    assert "FIELD_ENCRYPTION_KEYS=" in path.read_text()
    assert mode(path) == 0o600


def test_the_database_is_made_and_kept_for_its_owner(tmp_path):
    environment = {
        **os.environ,
        "DATA_DIR": str(tmp_path / "data"),
        "CCPROXY_ENV_FILE": str(tmp_path / "none"),
        "SECRET_KEY": "x" * 50,
        "DATABASE_URL": "",
        "DJANGO_SETTINGS_MODULE": "ccproxy_site.settings",
    }
    manage = [sys.executable, str(ROOT / "manage.py"), "shell", "-c"]
    script = (
        "from django.db import connection; connection.cursor().execute('CREATE TABLE IF NOT EXISTS t (a)')"
    )
    database = tmp_path / "data" / "ccproxy.sqlite3"
    for _ in range(2):
        subprocess.run([*manage, script], env=environment, check=True, capture_output=True)
        assert mode(database) == 0o600
        database.chmod(0o644)
