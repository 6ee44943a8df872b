import threading

import pytest
from django.db import OperationalError

from gateway.config.snapshot.current import CurrentSnapshot
from gateway.models import Provider, config_changed
from gateway.routing.snapshot import ConfigSnapshot


class Database:
    """A stamp to set, an outage to switch on."""

    def __init__(self):
        self.stamp = 1
        self.down = False
        self.loads = 0
        self.loaded = threading.Event()

    def read_stamp(self):
        if self.down:
            raise OperationalError("gone")
        return self.stamp

    def load(self):
        if self.down:
            raise OperationalError("gone")
        self.loads += 1
        if self.loads > 1:
            self.loaded.set()
        return ConfigSnapshot(stamp=self.stamp)


@pytest.fixture
def database():
    return Database()


@pytest.fixture
def current(database):
    return CurrentSnapshot(load=database.load, stamp=database.read_stamp, interval=3600)


def test_the_snapshot_is_there_at_once(current):
    assert current.snapshot.stamp == 1


def test_a_look_without_a_change_loads_nothing(current, database):
    assert current.look() is False
    assert database.loads == 1


def test_a_look_after_a_change_puts_the_new_snapshot_in_force(current, database):
    held = current.snapshot
    database.stamp = 2
    assert current.look() is True
    assert current.snapshot.stamp == 2
    assert held.stamp == 1


def test_a_stamp_that_went_back_is_a_change_too(current, database):
    database.stamp = 0
    assert current.look() is True


def test_the_last_snapshot_survives_an_outage_and_the_log_says_it_once(current, database, caplog):
    database.stamp, database.down = 2, True
    assert [current.look(), current.look()] == [False, False]
    assert current.snapshot.stamp == 1
    assert caplog.text.count("the last one stays in force") == 1
    database.down = False
    assert current.look() is True


def test_a_reload_that_fails_keeps_the_last_snapshot_and_raises(current, database):
    database.down = True
    with pytest.raises(OperationalError):
        current.reload()
    assert current.snapshot.stamp == 1


def test_a_first_load_that_fails_raises(database):
    database.down = True
    with pytest.raises(OperationalError):
        CurrentSnapshot(load=database.load, stamp=database.read_stamp)


def test_a_change_in_this_process_wakes_the_thread_at_once(current, database):
    current.start()
    try:
        database.stamp = 2
        config_changed.send(sender=None)
        # the interval is an hour, so only the signal can have done it
        assert database.loaded.wait(5)
    finally:
        current.stop()
    assert current.snapshot.stamp == 2


def test_start_and_stop_may_be_called_twice(current):
    current.start()
    current.start()
    assert sum(thread.name == "config-snapshot" for thread in threading.enumerate()) == 1
    current.stop()
    current.stop()
    assert not any(thread.name == "config-snapshot" for thread in threading.enumerate())


@pytest.mark.django_db
def test_with_the_real_database_a_saved_provider_is_in_force_after_one_look():
    current = CurrentSnapshot()
    Provider.objects.create(name="P", slug="p", base_url="http://p/v1")
    assert "p" not in current.snapshot.providers
    assert current.look() is True
    assert "p" in current.snapshot.providers
    assert current.look() is False


@pytest.mark.django_db(transaction=True)
def test_with_the_real_thread_a_saved_provider_is_in_force_at_once():
    current = CurrentSnapshot(interval=3600)
    reloaded = threading.Event()
    reload = current.reload

    def noticed():
        snapshot = reload()
        reloaded.set()
        return snapshot

    current.reload = noticed
    current.start()
    try:
        Provider.objects.create(name="P", slug="p", base_url="http://p/v1")
        assert reloaded.wait(5)
    finally:
        current.stop()
    assert "p" in current.snapshot.providers
