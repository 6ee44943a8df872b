"""What an admin's own expression costs is tried before it is saved, within seconds."""

import contextlib
import time

import pytest

from gateway.history.secrets.patterns import of_admin
from gateway.history.secrets.secret_search import OutOfTime, Work, secrets_in
from gateway.patterns import linear, trial
from gateway.patterns.linear import EngineMissing, LinearPattern, NotLinear
from gateway.patterns.trial import TooSlow, check_speed
from gateway.routing.snapshot import SecretLook


@pytest.mark.parametrize("source", [r"corp-[a-z0-9]{32}", r"(a+)+$", r"(?:x|y)+z{0,900}", "é{3}"])
def test_what_the_engine_reads_in_time_is_taken(source):
    check_speed(source)


@pytest.mark.parametrize("source", [r"a.*b|a", r"(?:abcdefghij[klmnop]){900}z"])
def test_what_takes_long_is_found_out(source, monkeypatch):
    monkeypatch.setattr(trial, "_PATIENCE", 300)
    with pytest.raises(TooSlow):
        check_speed(source)


@pytest.mark.parametrize(
    "source", [r".{0,500}x.{0,450}y", "(?:" + "x" * 480 + "){1000}", "(" * 200 + "a" + ")" * 200]
)
def test_a_trial_ends_within_seconds_of_cpu(source, monkeypatch):
    monkeypatch.setattr(trial, "_PATIENCE", 300)
    began = time.thread_time()
    with contextlib.suppress(NotLinear, TooSlow):
        check_speed(source)
    # the budget and one search that nothing stops
    assert time.thread_time() - began < 10


def test_a_trial_ends_with_its_time_on_a_machine_that_has_no_time(monkeypatch):
    tried = []
    monkeypatch.setattr(trial, "_PATIENCE", -1)
    monkeypatch.setattr(trial, "_seconds", lambda *what: tried.append(what))
    check_speed("corp-[a-z]+")
    assert not tried


@pytest.mark.parametrize("source", [r"(?=a)b", r"(a)\1", "x{,9}", "a{2000}", "("])
def test_what_no_linear_engine_can_read_is_refused(source):
    with pytest.raises(NotLinear):
        check_speed(source)


@pytest.fixture
def no_engine(monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(linear.importlib, "import_module", missing)


def test_without_the_engine_nothing_is_tried(no_engine):
    with pytest.raises(EngineMissing, match="google-re2"):
        check_speed("a")


def test_without_the_engine_a_text_that_may_hold_a_secret_is_masked_as_a_whole(no_engine, caplog):
    pattern = of_admin(SecretLook("corp", "corp-[0-9]+", "corp-"))
    assert "masked as a whole" in caplog.text
    with pytest.raises(OutOfTime):
        secrets_in("is it corp-1?", [pattern], Work())


@pytest.mark.parametrize("filler", ["-", "é", "\N{GRINNING FACE}"])
def test_matches_are_found_at_every_place_of_a_long_text(filler):
    expected, text = [], ""
    while len(text) < 300_000:
        text += filler * (len(text) % 7919 + 1)
        expected.append((len(text), len(text) + 14))
        text += "corp-123456789"
    assert list(LinearPattern(r"corp-\d{9}").spans(text)) == expected


def test_a_match_longer_than_a_window_is_one():
    text = "-" * 1000 + "x" + "7" * 500_000 + "-"
    assert list(LinearPattern(r"x\d+").spans(text)) == [(1000, 501_001)]


def test_a_beginning_of_a_line_is_no_beginning_of_a_window():
    assert list(LinearPattern("^x").spans("x" * 200_000)) == [(0, 1)]


def test_a_search_in_a_long_text_can_be_stopped():
    looks = iter(range(3))

    def between():
        if next(looks, None) is None:
            raise OutOfTime

    with pytest.raises(OutOfTime):
        list(LinearPattern("x").spans("-" * 1_000_000, between))
