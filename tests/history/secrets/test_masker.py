"""Secrets are masked before texts are stored; everything else stays byte for byte."""

import json
import random
import re
import time
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.sessions import session
from gateway.history.content.bodies import packed, rebuilt, store, stored
from gateway.history.outcome import CapturedBodies
from gateway.history.record.rows import write
from gateway.history.record.spool import as_line
from gateway.history.record.spool_lines import masked as masked_outcome
from gateway.history.secrets.masker import Masker, masker
from gateway.history.secrets.patterns import names
from gateway.history.secrets.secret_search import Work
from gateway.models import ContentBlob, RequestLog
from gateway.routing.secret_forms import forms_of_secrets
from gateway.routing.snapshot import SecretLook
from gateway.wire import jsontext
from tests.history.content.test_bodies import captured
from tests.history.record.test_recorder import outcome

KEY = "sk-ant-api03-" + "aB3dE5gH" * 6
PEM = (
    "-----BEGIN RSA PRIVATE KEY-----\n" + "MIIEpAIBAAKCAQEAwJ3k\n" * 5 + "q9==\n-----END RSA PRIVATE KEY-----"
)
SECRETS = {
    "anthropic-key": KEY,
    "api-key": "sk-proj-4f" + "Zz9_yX8w" * 5,
    "gateway-key": "ccp_" + "h7Jk2LmN" * 5,
    "aws-key": "AKIAIOSFODNN7EXAMPLE",
    "github-token": "ghp_" + "a1B2c3D4e5F6" * 3,
    "gitlab-token": "glpat-" + "x9Y8z7W6v5" * 2,
    "slack-token": "xoxb-123456789012-abcdefGHIJ",
    "google-key": "AIza" + "SyD3f4G5h6J" * 3 + "k7",
    "stripe-key": "sk_live_" + "51HxYzAbCd" * 3,
    "groq-key": "gsk_" + "Ab1Cd2Ef3G" * 5,
    "huggingface-token": "hf_" + "AbCdEfGhIj" * 4,
    "npm-token": "npm_" + "a1B2c3D4e5F6" * 3,
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P",
    "private-key": PEM,
}


def mask(text, **options):
    return Masker(**options).document(text.encode())


@pytest.mark.parametrize("name", SECRETS)
def test_each_kind_of_secret_is_masked_by_name(name):
    found = mask(json.dumps({"text": f"before {SECRETS[name]} after"}))
    assert json.loads(found.text)["text"] == f"before [masked:{name}] after"
    assert found.count == 1


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Authorization: Bearer abc123def456ghi789jkl0", "Authorization: Bearer [masked:authorization]"),
        ('"X-Api-Key": "0123456789abcdef0123"', '"X-Api-Key": "[masked:authorization]"'),
        ("postgres://app:hunter22@db/app", "postgres://app:[masked:password]@db/app"),
        (
            "AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "AWS_SECRET_ACCESS_KEY=[masked:aws-secret]",
        ),
    ],
)
def test_what_stands_around_a_secret_is_kept(text, left):
    assert mask(text).text.decode() == left


@pytest.mark.parametrize(
    "text",
    [
        "the task-management-and-planning-module of our disk-2-partition",
        "risk-assessment-framework-for-everything-0",
        "Authorization: Bearer ${ANTHROPIC_API_KEY}",
        "-----BEGIN PRIVATE KEY----- is how such a file begins, as everybody knows who saw one.",
        "https://example.com:8080/path@version and user@host",
        "sk-learn-pipelines-are-fine-without-any-digits",
        "eyJ is how base64 of a JSON object begins",
    ],
)
def test_what_only_looks_a_little_like_a_secret_stays(text):
    assert mask(text).text.decode() == text


def test_a_key_inside_json_inside_a_text_is_found_escapes_and_all():
    inner = json.dumps({"key": PEM})
    found = mask(json.dumps({"arguments": inner}))
    assert json.loads(json.loads(found.text)["arguments"]) == {"key": "[masked:private-key]"}


def test_an_admins_pattern_is_used_with_and_without_a_literal():
    for literal in ("", "EMP-"):
        found = masker((SecretLook("employee", r"EMP-\d{6}", literal),)).document(b'{"a":"EMP-123456"}')
        assert found.text == b'{"a":"[masked:employee]"}'
    assert names((SecretLook("employee", "x"),))[-1] == "employee"


# --- conversations ------------------------------------------------------------------


def request(*texts):
    return {"model": "m", "messages": [{"role": "user", "content": text} for text in texts]}


@pytest.mark.django_db(transaction=True)
class TestStored:
    def test_nothing_of_a_secret_is_in_the_database_and_the_rest_is(self):
        texts = captured(request(f"my key is {KEY}", "and more"), request(f"my key is {KEY}", "and more"))
        write([outcome(bodies=texts)])
        assert RequestLog.objects.get().masked_count == 1
        for part in ("received", "sent"):
            again = jsontext.loads(rebuilt("req_1", part))
            assert [m["content"] for m in again["messages"]] == [
                "my key is [masked:anthropic-key]",
                "and more",
            ]
        assert stored("req_1").size("received") == len(texts.received)

    def test_a_conversation_with_a_secret_is_stored_once_and_counted_each_time(self):
        first = captured(request(KEY), request(KEY))
        second = captured(request(KEY, "more"), request(KEY, "more"))
        write([outcome(1, bodies=first)])
        blobs = ContentBlob.objects.count()
        write([outcome(2, bodies=second)])
        assert ContentBlob.objects.count() == blobs + 1
        assert list(RequestLog.objects.values_list("masked_count", flat=True)) == [1, 1]

    def test_what_waited_in_the_spool_was_masked_and_counted_there(self, tmp_path):
        bodies = CapturedBodies({}, received=f'{{"a":"{KEY}"}}'.encode())
        told = masked_outcome(outcome(bodies=bodies), masker())
        assert KEY.encode() not in as_line(told)
        write([told])
        assert RequestLog.objects.get().masked_count == 1

    def test_a_secret_in_a_header_that_a_rule_names_is_masked_wherever_the_row_goes(self):
        told = outcome(facts={"header": {"x-token": f"Bearer {KEY}", "x-team": "blue"}, "tools": 3})
        write([told])
        row = RequestLog.objects.get()
        assert row.facts["header"]["x-team"] == "blue" and row.facts["tools"] == 3
        assert KEY not in jsontext.dumps(row.facts).decode() and "masked" in row.facts["header"]["x-token"]
        assert row.masked_count >= 1
        assert KEY.encode() not in as_line(masked_outcome(told, masker()))

    def test_fields_that_are_no_messages_are_masked_too(self):
        body = {
            "model": "m",
            "system": KEY,
            "metadata": {"user_id": KEY},
            "messages": [{"role": "user", "content": "a"}],
        }
        store_one(jsontext.dumps(body))
        assert KEY.encode() not in rebuilt("req_1", "received")

    def test_a_whole_body_that_is_no_json_is_masked(self):
        store_one(b"\xff " + KEY.encode())
        assert rebuilt("req_1", "received") == b"\xff [masked:anthropic-key]"

    def test_a_session_without_secrets_is_byte_for_byte_what_it_was(self):
        for number, (received, sent) in enumerate(session(6)):
            write([outcome(number, bodies=captured(received, sent))])
            assert rebuilt(f"req_{number}", "received") == jsontext.dumps(received)
        assert set(RequestLog.objects.values_list("masked_count", flat=True)) == {0}


def store_one(body):
    RequestLog.objects.create(request_id="req_1")
    store([("req_1", packed(CapturedBodies({}, received=body)))])


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("around", ["{}", "a\n{}\n", '"{}"', "\\{}\\", "({})", "\u00e9{}", "\x00{}"])
def test_a_secret_is_found_whatever_stands_around_it(name, around):
    text = around.format(SECRETS[name])
    masked = packed(captured(request(text), request(text)), Masker())
    assert masked.masked == 1


def test_a_known_piece_is_not_looked_at_again(monkeypatch):
    looked, mask = [], Masker()
    look = mask._looked
    monkeypatch.setattr(mask, "_looked", lambda value, work: looked.append(value) or look(value, work))
    for turn in range(1, 5):
        packed(captured(request(*"abcd"[:turn]), request(*"abcd"[:turn])), mask)
    assert len(looked) == 4


# --- streams ---------------------------------------------------------------------------


def anthropic_stream(pieces, index=0):
    events = [
        {"type": "content_block_delta", "index": index, "delta": {"type": "text_delta", "text": piece}}
        for piece in pieces
    ]
    return [f"event: content_block_delta\ndata: {json.dumps(event)}\n\n" for event in events]


def chat_stream(pieces, call=0):
    return [
        "data: "
        + json.dumps({"choices": [{"index": 0, "delta": {"tool_calls": [
            {"index": call, "function": {"arguments": piece}}]}}]})
        + "\n\n"
        for piece in pieces
    ]  # fmt: skip


def texts_of(stream):
    values = [json.loads(line[5:]) for line in stream.decode().split("\n") if line.startswith("data: {")]
    return "".join(value["delta"]["text"] for value in values)


@given(st.integers(1, 30), st.integers(0, 2**32), st.sampled_from([KEY, PEM, SECRETS["jwt"]]))
def test_a_secret_in_any_number_of_deltas_is_masked(size, seed, secret):
    text = f"Here it is: {secret} and that was it."
    dice = random.Random(seed)
    pieces, place = [], 0
    while place < len(text):
        step = dice.randint(1, size)
        pieces.append(text[place : place + step])
        place += step
    masked = masker().answer("".join(anthropic_stream(pieces)).encode())
    left = texts_of(masked.text)
    assert left.startswith("Here it is: [masked:") and left.endswith("] and that was it.")
    assert masked.count == 1
    assert masked.text.count(b"event: ") == len(pieces)


def test_calls_that_come_in_turns_are_searched_each_by_itself():
    stream = [
        part
        for pair in zip(
            chat_stream(["call one: ", KEY[:20], KEY[20:]]), chat_stream(["x", "y", "z"], call=1), strict=True
        )
        for part in pair
    ]
    masked = masker().answer("".join(stream).encode())
    assert KEY[20:].encode() not in masked.text
    assert b'"z"' in masked.text


def test_a_stream_without_secrets_is_untouched_byte_for_byte():
    stream = "".join([*anthropic_stream(["a task-", "list"]), ": ping\n\n", "data: [DONE]\n\n"]).encode()
    assert masker().answer(stream).text is stream


def test_a_secret_beside_the_texts_of_one_event_of_many_is_masked():
    events = anthropic_stream(["a", "b", "c", "d"])
    events[2] = events[2].replace('"type"', f'"id": "{KEY}", "type"', 1)
    masked = masker().answer("".join(events).encode())
    assert KEY.encode() not in masked.text
    assert texts_of(masked.text) == "abcd"


def test_an_admins_literal_may_begin_before_a_text_and_end_in_it():
    look = SecretLook("whole", r"EMP-\d{6}", '"text": "EMP')
    masked = masker((look,)).answer("".join(anthropic_stream(["EMP-123456", "b"])).encode())
    assert b"EMP-123456" not in masked.text


def test_a_broken_event_and_a_comment_are_masked_as_text():
    masked = masker().answer(f'data: {{"a": "{KEY}\n\n: {KEY}\n\n'.encode())
    assert KEY.encode() not in masked.text
    assert masked.count == 2


@given(st.binary(max_size=300))
def test_any_bytes_can_be_looked_at(data):
    assert masker().document(data).text == data or b"[masked:" in masker().document(data).text
    masker().answer(b"data:" + data)


def test_patterns_of_one_masker_are_compiled_once():
    looks = (SecretLook("a", "a+b"),)
    assert masker(looks) is masker(looks)


@pytest.mark.parametrize(
    "secret", ["correct-horse-battery", 'with"quote\\and/slash', "grün-und-blau", '\t\n""\\ \t\n']
)
def test_a_configured_value_is_masked_wherever_it_stands(secret):
    mask = masker((), (secret,))
    said = json.dumps({"text": f"the key {secret} is bad"})
    assert json.loads(mask.document(said.encode()).text)["text"] == "the key [masked:configured] is bad"
    stream = "".join(anthropic_stream([f"it is {secret[:5]}", f"{secret[5:]}, is it?"])).encode()
    assert texts_of(mask.answer(stream).text) == "it is [masked:configured], is it?"


# --- whatever the value and the way it is written -----------------------------------------


def twice(write):
    return lambda value: write(write(value))


def inner(**how):
    return lambda value: json.dumps(value, **how)[1:-1]


def escaped_everywhere(value):
    return "".join(f"\\u{ord(one):04x}" if ord(one) < 0x10000 else inner()(one) for one in value)


# how a text repeats a value
WRITTEN = {
    "as it is": str,
    "in JSON": inner(),
    "in JSON of UTF-8": inner(ensure_ascii=False),
    "in JSON twice": twice(inner()),
    "in JSON with escaped slashes": lambda value: inner()(value).replace("/", "\\/"),
    "in a URL": lambda value: quote(value, safe=""),
    "in a path": quote,
    "in a form": quote_plus,
    "in a URL with small letters": lambda value: re.sub(
        "%[0-9A-F]{2}", lambda found: found[0].lower(), quote_plus(value)
    ),
}
# how the JSON text around it is written
DUMPED = {
    "plainly": json.dumps,
    "in UTF-8": lambda value: json.dumps(value, ensure_ascii=False),
    "with every letter as an escape": lambda value: re.sub(
        r"Q([^Q]*)Q",
        lambda found: "Q" + escaped_everywhere(json.loads(f'"{found[1]}"')) + "Q",
        json.dumps(value),
    ),
}
ANY_SECRET = st.text(st.sampled_from("abcXYZ0189-_.~+/=\\\"'<>&% üß中\t\n"), min_size=8, max_size=20).filter(
    lambda value: value.strip() == value and "[masked" not in value
)


@given(
    ANY_SECRET, ANY_SECRET, st.sampled_from(sorted(WRITTEN)), st.sampled_from(sorted(DUMPED)),
    st.sampled_from(["document", "key", "stream", "arguments", "whole", "no JSON"]), st.integers(1, 9),
)  # fmt: skip
def test_a_configured_value_survives_in_no_form(value, other, form, dumped, place, step):
    mask = masker((), forms_of_secrets([value, other]))
    said = WRITTEN[form](value)
    text, dump = f"it is Q{said}Q!", DUMPED[dumped]
    if place == "no JSON":
        left = mask.document(text.encode()).text.decode()
    elif place == "document":
        left = json.loads(mask.document(dump({"error": [{"message": text}]}).encode()).text)
        left = left["error"][0]["message"]
    elif place == "key":
        left = next(iter(json.loads(mask.document(dump({text: 1}).encode()).text)))
    elif place == "whole":
        left = json.loads(mask.answer(dump({"content": [{"text": text}]}).encode()).text)["content"][0][
            "text"
        ]
    else:
        pieces = [text[at : at + step] for at in range(0, len(text), step)]
        if place == "stream":
            left = texts_of(mask.answer("".join(anthropic_stream(pieces)).encode()).text)
        else:
            masked = mask.answer("".join(chat_stream(pieces)).encode()).text.decode()
            values = [json.loads(line[6:]) for line in masked.split("\n") if line]
            calls = [value["choices"][0]["delta"]["tool_calls"][0] for value in values]
            left = "".join(call["function"]["arguments"] for call in calls)
    assert value not in left and said not in left and "[masked:" in left


@given(ANY_SECRET, st.sampled_from(sorted(WRITTEN)))
def test_a_configured_value_is_in_no_key_of_a_stream(value, form):
    mask, said = masker((), forms_of_secrets([value])), WRITTEN[form](value)
    events = [{"type": "x", "holds": {said: {"a": 1}, said + said: 2}}, {"type": "x", "list": [{said: 3}]}]
    stream = "".join(f"data: {json.dumps(event)}\n\n" for event in events)
    masked = mask.answer(stream.encode())
    values = [json.loads(line[6:]) for line in masked.text.decode().split("\n") if line]
    assert not any(said in key for key in [*values[0]["holds"], *values[1]["list"][0]])
    assert [*values[0]["holds"].values()] == [{"a": 1}, 2] and masked.count >= 3


def test_keys_that_are_masked_alike_stay_two():
    masked = mask(json.dumps({KEY: 1, "x": {KEY + "0": 2, KEY: 3}, "[masked:anthropic-key] 2": 4}))
    left = json.loads(masked.text)
    assert [*left.values()] == [1, {"[masked:anthropic-key]": 2, "[masked:anthropic-key] 2": 3}, 4]
    assert KEY.encode() not in masked.text and masked.count == 3


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_written_in_escapes_is_found(name):
    text = json.dumps({"text": "Q"}).replace("Q", escaped_everywhere(SECRETS[name]))
    assert json.loads(mask(text).text)["text"] == f"[masked:{name}]"
    stream = f"data: {text}\n\n".encode()
    assert f"[masked:{name}]" in masker().answer(stream).text.decode()


def no_time():
    """What a text costs when no time is left for it."""
    clock = iter(range(1_000_000))
    return Work(text=0, exchange=0, clock=lambda: next(clock))


def test_a_text_that_takes_too_long_is_masked_as_a_whole_and_the_others_are_kept():
    text = json.dumps({"a": "sk-" * 60_000, "b": "nothing to see"})
    work = no_time()
    masked = Masker().document(text.encode(), work)
    assert json.loads(masked.text) == {"a": "[masked:whole-text]", "b": "nothing to see"}
    assert work.whole == 1


def test_twenty_thousand_keys_that_are_masked_alike_stay_as_many():
    """In time: the number behind each is not searched for from the beginning."""
    keys = {f"sk-proj-4f{number:030d}": number for number in range(20_000)}
    began = time.thread_time()
    masked = json.loads(Masker().document(json.dumps({**keys, "[masked:api-key] 7": "taken"}).encode()).text)
    event = "data: " + json.dumps({"type": "content_block_start", "index": 0, "content_block": keys}) + "\n\n"
    streamed = masker().answer(event.encode()).text.decode()
    assert time.thread_time() - began < 10
    assert sorted(set(masked.values()) - {"taken"}) == sorted(keys.values())
    assert masked["[masked:api-key] 7"] == "taken"
    assert "sk-proj" not in streamed
    assert len(json.loads(streamed.removeprefix("data: "))["content_block"]) == len(keys)


def test_a_stream_that_takes_too_long_says_the_mark_once():
    work = no_time()
    masked = masker().answer("".join(anthropic_stream(["sk-" * 9000] * 7)).encode(), work=work)
    assert texts_of(masked.text) == "[masked:whole-text]" and work.whole == 1


def test_the_row_says_that_a_text_could_not_be_looked_through(monkeypatch):
    monkeypatch.setattr("gateway.history.record.spool_lines.Work", no_time)
    body = json.dumps({"messages": [{"role": "user", "content": "sk-" * 60_000}]}).encode()
    masked = masked_outcome(outcome(bodies=CapturedBodies(received=body)), Masker())
    assert b"sk-sk-" not in masked.bodies.received
    assert [entry for entry in masked.ledger if "whole" in str(entry)]
