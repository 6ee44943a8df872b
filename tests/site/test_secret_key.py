"""SECRET_KEY: what an earlier one signed, and what the processes of one start share."""

import sys

from django.core import signing

from ccproxy_site.server import processes
from gateway.security.encryption import seal_keys


def test_what_an_earlier_key_signed_stays_valid_and_new_things_are_signed_with_the_new_one(settings):
    settings.SECRET_KEY = "old"
    before = signing.dumps("session")
    (old,) = seal_keys(())
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "new", ["old"]
    assert signing.loads(before) == "session"
    after = signing.dumps("session")
    # the first one signs, each one verifies
    assert seal_keys(())[1] == old
    assert seal_keys(())[0] != old
    settings.SECRET_KEY_FALLBACKS = []
    assert signing.loads(after) == "session"


def test_a_temporary_key_is_one_for_all_processes_of_a_start(settings, monkeypatch):
    settings.SECRET_KEY, settings.SECRET_KEY_IS_TEMPORARY = "temporary", True
    given = []
    monkeypatch.setattr(
        processes.ProcessMonitor, "addProcess", lambda self, name, args, env: given.append(env)
    )
    monkeypatch.setattr(sys, "argv", ["manage.py"])
    for temporary in (True, False):
        settings.SECRET_KEY_IS_TEMPORARY = temporary
        one = processes.ServerProcesses("127.0.0.1", 0, number=2, manage="manage.py", patience=1)
        one._port.close()
    assert [env.get("SECRET_KEY") for env in given[:2]] == ["temporary", "temporary"]
    assert all(env.get("SECRET_KEY") != "temporary" for env in given[2:])
