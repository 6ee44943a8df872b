"""A server with wrong values in its environment says so and does not start."""

import os
import subprocess
import sys

import pytest

from ccproxy_site.places import PROJECT_DIR

WAYS = [("manage.py", "serve"), ("manage.py", "runserver", "--noreload"), ("-c", "import ccproxy_site.asgi")]


@pytest.mark.parametrize("command", WAYS)
def test_every_way_to_start_refuses_wrong_values(command, tmp_path):
    wrong = {"PORT": "80a", "KEYS_REQUIRED": "ture", "DATABASE_URL": "postgres://me:hush@db:port/x"}
    places = {
        "CCPROXY_ENV_FILE": os.devnull,
        "DATA_DIR": str(tmp_path),
        "DJANGO_SETTINGS_MODULE": "ccproxy_site.settings",
    }
    ended = subprocess.run(
        [sys.executable, *command],
        cwd=PROJECT_DIR,
        env={**os.environ, **wrong, **places},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert ended.returncode == 1
    assert "PORT is '80a'; it is a whole number from 1 to 65535" in ended.stderr
    assert "KEYS_REQUIRED is 'ture'; it is either true or false" in ended.stderr
    assert "hush" not in ended.stdout + ended.stderr
    assert ("Traceback" in ended.stderr) is (command[0] == "-c")
