"""A log line is one JSON object, and shows no configured secret, whoever wrote it."""

import json
import logging
import sys
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.routing.secret_forms import forms_of_secrets, kept_secret
from gateway.telemetry import logs

SECRETS = kept_secret(["correct-horse", "correct-horse-battery", 'with"quote\\and/slash', "12345678"])


@pytest.fixture
def concealed(monkeypatch):
    monkeypatch.setattr(logs, "_concealed", lambda: SECRETS)


def line_of(message, *arguments, exc_info=None, **extra):
    record = logging.LogRecord("gateway.x", logging.ERROR, __file__, 1, message, arguments, exc_info)
    vars(record).update(extra)
    return json.loads(logs.JSONFormatter().format(record))


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_is_replaced_in_the_message_the_fields_and_the_exception(concealed, secret):
    try:
        raise ValueError(f"bad header {secret}")
    except ValueError:
        line = line_of(
            "key %s is bad", secret, exc_info=sys.exc_info(), problem={"said": f"<{secret}>"}, size=12345678
        )
    assert line["message"] == f"key {logs.MASK} is bad"
    assert line["exception"].endswith(f"bad header {logs.MASK}")
    assert line["size"] == 12345678
    assert "correct-horse" not in line["problem"] and "12345678" not in line["problem"]


AWKWARD = 'pa"ss\\wörd/+ 1'


@pytest.mark.parametrize(
    "write",
    [
        str,
        repr,
        json.dumps,
        lambda value: json.dumps(json.dumps(value)),
        lambda value: repr(value.encode()),
        quote,
        quote_plus,
    ],
)
def test_a_secret_is_replaced_as_a_library_writes_it_down(monkeypatch, write):
    monkeypatch.setattr(logs, "_concealed", lambda: forms_of_secrets([AWKWARD]))
    try:
        try:
            raise ValueError(f"no such host: {write(AWKWARD)}")
        except ValueError:
            raise RuntimeError(f"tried {write(AWKWARD)}") from None
    except RuntimeError:
        line = line_of(f"not sent: {write(AWKWARD)}", exc_info=sys.exc_info())
    for text in (line["message"], line["exception"]):
        assert write(AWKWARD)[2:-2] not in text and logs.MASK in text


@given(st.sets(st.text("ab", min_size=8, max_size=12), min_size=1, max_size=6), st.text("ab-", max_size=60))
def test_no_secret_is_left_whatever_the_others_are(values, text):
    secrets = kept_secret(values)
    with pytest.MonkeyPatch.context() as changed:
        changed.setattr(logs, "_concealed", lambda: secrets)
        message = line_of("%s", text)["message"]
    assert not [value for value in values if value in message]


@given(st.permutations(["aaaaaaaa1", "aaaaaaaa2", "aaaaaaaa3", "aaaaaaaa", "bbbbbbbbbbbb"]))
def test_the_order_of_secrets_depends_on_nothing_else(values):
    assert kept_secret(values) == ("bbbbbbbbbbbb", "aaaaaaaa1", "aaaaaaaa2", "aaaaaaaa3", "aaaaaaaa")
