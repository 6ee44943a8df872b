"""Arguments of tool calls: repaired while they stream and as a whole.

See docs/conversion.md, "Tool calls" and "Calls in a stream".
"""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jiter import from_json

from gateway.conversion.tool_calls.arguments import (
    BufferedArguments,
    CallEnding,
    FreeformArguments,
    LiveArguments,
    MalformedArguments,
    input_of,
    is_whole,
)
from tests.examples import examples


def live(*pieces: str, cut: bool = False) -> str:
    reader = LiveArguments()
    sent = "".join(reader.feed(piece) for piece in pieces)
    return sent + reader.finish(CallEnding.LIMIT if cut else CallEnding.OVER)


@pytest.mark.parametrize("empty", ["", "  ", None, "null", "[]", [], "[]{}"])
def test_nothing_is_an_empty_object(empty):
    assert input_of(empty) == ({}, False)


@pytest.mark.parametrize(
    "arguments, expected, repaired",
    [
        ('{"a": 1}', {"a": 1}, False),
        ({"a": 1}, {"a": 1}, False),
        ('"{\\"a\\": 1}"', {"a": 1}, True),
        ('{"a": "x\ny"}', {"a": "x\ny"}, True),
        ('{"a": "\x01"}', {"a": "\x01"}, True),
        ('{"a": "\\d+"}', {"a": "\\d+"}, True),
        ('{"a": "\\u12"}', {"a": "\\u12"}, True),
        ('{"a": 1,}', {"a": 1}, True),
        ('{"a": [1, 2, ],}', {"a": [1, 2]}, True),
        ('```json\n{"a": 1}\n```', {"a": 1}, True),
        ('```\n{"a": "```"}\n', {"INVALID_JSON": '```\n{"a": "```"}\n'}, True),
        ('{"a": 1} trailing', {"a": 1}, True),
        ('{"a": 1}}', {"a": 1}, True),
        ('[]{"a": 1}', {"a": 1}, False),
        ("[1]", {"INVALID_JSON": "[1]"}, True),
        ("[", {"INVALID_JSON": "["}, True),
        ('[{"a": 1}]', {"INVALID_JSON": '[{"a": 1}]'}, True),
        ("7", {"INVALID_JSON": "7"}, True),
        ([1], {"INVALID_JSON": "[1]"}, True),
        ('{"a": ', {"INVALID_JSON": '{"a": '}, True),
        ("city=Bern", {"INVALID_JSON": "city=Bern"}, True),
        ("{'a': 1}", {"a": 1}, True),
        ("```python\n{'a': 1}\n```", {"a": 1}, True),
        ("\"{'a': 1}\"", {"a": 1}, True),
        ("{}{'a': 1}", {"a": 1}, True),
        ('{"a": True, "b": [False, None]}', {"a": True, "b": [False, None]}, True),
        ('{"a": true1}', {"INVALID_JSON": '{"a": true1}'}, True),
        ('{}{"a": 1}', {"a": 1}, False),
        (' null {"a": 1}', {"a": 1}, False),
        ('""{"a": 1}', {"a": 1}, False),
        ('null"{\\"a\\": 1}"', {"a": 1}, True),
        ("{}null", {}, False),
        ('""', {}, False),
        ("nullable", {"INVALID_JSON": "nullable"}, True),
        ('{"a":[,]}', {"INVALID_JSON": '{"a":[,]}'}, True),
        ('{"a": 1,,}', {"INVALID_JSON": '{"a": 1,,}'}, True),
        ('{"a": "\\ud83d"}', {"a": "\ufffd"}, False),
    ],
)
def test_whole_arguments(arguments, expected, repaired):
    assert input_of(arguments) == (expected, repaired)


@pytest.mark.parametrize(
    "pieces, expected",
    [
        (['  {"a"', ":1}"], '{"a":1}'),
        (['{"a":"x\n', '\ty"}'], '{"a":"x\\n\\ty"}'),
        (['{"a":"\\', 'n"}'], '{"a":"\\n"}'),
        (['{"a":"\\', 'd"}'], '{"a":"\\\\d"}'),
        (['{"a":"\\u0', "0e", '9"}'], '{"a":"\\u00e9"}'),
        (['{"a":"\\ud8', "3d\\ud", 'e00"}'], '{"a":"\\ud83d\\ude00"}'),
        (['{"a":"\\ud83d', 'x"}'], '{"a":"\\ufffdx"}'),
        (['{"a":"\\ud83d\\', 'n"}'], '{"a":"\\ufffd\\n"}'),
        (['{"a":"\\ude00"}'], '{"a":"\\ufffd"}'),
        (['{"a":"\\u', 'zz"}'], '{"a":"\\\\uzz"}'),
        (['{"a":1', ",", "}"], '{"a":1}'),
        (['{"a":[1,', " ]}"], '{"a":[1]}'),
        (['{"a":1,', ' "b":2}'], '{"a":1, "b":2}'),
        (['{"a":12', "34}"], '{"a":1234}'),
        (['{"a":tr', "ue}"], '{"a":true}'),
        (["{", "}"], "{}"),
        (["{ ", '"a" : [ ] }'], '{ "a" : [ ] }'),
        (['{"a":1}', "}", " junk"], '{"a":1}'),
        (['"{\\"a\\"', ':1}"'], '{"a":1}'),
        (["{}", '{"a":1}'], '{"a":1}'),
        (["{", "}", "{", '"a":1}'], '{"a":1}'),
        (["null", '{"a"', ":1}"], '{"a":1}'),
        (["nu", 'll{"a":1}'], '{"a":1}'),
        (['"', '"', '{"a":1}'], '{"a":1}'),
        (["null"], "{}"),
        (['""'], "{}"),
        (["{ }", " "], "{}"),
        (['{"a":Tr', "ue}"], '{"a":true}'),
        (["```json\n{}", "\n```"], "{}"),
        (["", " ", ""], "{}"),
    ],
)
def test_live_arguments(pieces, expected):
    assert live(*pieces) == expected


@pytest.mark.parametrize(
    "pieces",
    [
        ['{"a":', "]"],
        ['{"a"', ","],
        ['{"a":1', ":"],
        ['{"a":1 ', "2}"],
        ['{"a":', "nul}"],
        ['{"a":', "01}"],
        ['{"a":[1', "}"],
        ['{"a":1,', ",}"],
        ['{"a":{', "x}}"],
        ['{"a":1', '"b"'],
        ['{"a":', "1" * 2000],
    ],
)
def test_what_cannot_be_mended_behind_sent_arguments_is_refused(pieces):
    with pytest.raises(MalformedArguments):
        live(*pieces)


@pytest.mark.parametrize("whole", ["{'a': it}", '{"a": Yes}', '{"a": 1]', "{a b: 1}", "nul", '"'])
def test_what_is_wrong_before_anything_was_sent_is_handed_over_as_invalid(whole):
    assert json.loads(live(whole)) == {"INVALID_JSON": whole}


@pytest.mark.parametrize("pieces", [['{"a":1'], ['{"a":"\\u00'], ["{"], ['{"a":[1,']])
def test_unfinished_arguments_are_refused_unless_the_answer_was_cut(pieces):
    with pytest.raises(MalformedArguments):
        live(*pieces)
    live(*pieces, cut=True)


def test_repairs_are_noted():
    reader = LiveArguments()
    reader.feed('{"a":1}')
    assert not reader.repaired
    reader.feed("}")
    assert reader.repaired


def test_buffered_arguments_come_at_the_end():
    reader = BufferedArguments()
    assert reader.feed('{"a":') == "" and not reader.complete
    assert reader.feed("1,}") == "" and reader.complete
    assert reader.finish(CallEnding.OVER) == '{"a":1}' and reader.repaired


def test_buffered_arguments_beyond_repair_are_handed_over_as_invalid():
    reader = BufferedArguments()
    reader.feed('{"a":')
    reader.feed("]")
    assert json.loads(reader.finish(CallEnding.OVER)) == {"INVALID_JSON": '{"a":]'}


def test_freeform_arguments_are_not_read():
    reader = FreeformArguments()
    reader.feed("*** Begin")
    assert json.loads(reader.finish(CallEnding.OVER)) == {"input": "*** Begin"}


def test_whole_is_whole_without_repairs():
    assert is_whole('{"a":1}') and is_whole("") and is_whole({})
    assert not is_whole('{"a":') and not is_whole("[1]")


TEXTS = st.text(max_size=8) | st.sampled_from(["\\", '"', "\n", "😀", "{", "}", ",", ":"])
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=10,
)


@st.composite
def in_pieces(draw, text):
    places = sorted(draw(st.lists(st.integers(0, len(text)), max_size=6)))
    return [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]


@settings(max_examples=examples(500))
@given(st.dictionaries(TEXTS, VALUES, max_size=4), st.booleans(), st.sampled_from([None, 1]), st.data())
def test_valid_arguments_pass_unchanged_however_they_are_cut(value, ascii_only, indent, data):
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    if text.encode("utf-8", "replace").decode() != text or "\\ud" in text.lower():
        return  # half surrogates are mended
    reader = LiveArguments()
    sent = "".join(reader.feed(piece) for piece in data.draw(in_pieces(text)))
    assert sent + reader.finish(CallEnding.OVER) == text
    assert reader.complete == bool(value) and not reader.repaired


FRAGMENTS = st.lists(
    st.sampled_from(
        [
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            '"',
            '"a"',
            "1",
            "-",
            "tru",
            "true",
            "null",
            "\\",
            "\\u",
            "00e9",
            "\\ud83d",
            "\\ude00",
            "\n",
            " ",
            "x",
            "```",
            "\\d",
            "0",
            "e5",
            ".",
            "é",
            '{"a":',
        ]
    ),
    max_size=14,
)


@settings(max_examples=examples(1000))
@given(FRAGMENTS)
@example(['{"a":', '"', "\\ud83d", "\\", "d", '"', "}"])
def test_whatever_comes_what_was_sent_is_always_the_beginning_of_valid_json(pieces):
    reader = LiveArguments()
    sent = ""
    try:
        for piece in pieces:
            sent += reader.feed(piece)
            if sent:
                from_json(sent.encode(), partial_mode=True)
        sent += reader.finish(CallEnding.OVER)
    except MalformedArguments:
        # a brace alone, perhaps behind placeholders, which the cuts tell apart
        assert sent or "".join(pieces).rstrip().endswith("{")
        return
    assert isinstance(json.loads(sent), dict)


@settings(max_examples=examples(500))
@given(FRAGMENTS)
def test_whole_and_live_repair_agree(pieces):
    text = "".join(pieces)
    whole = input_of(text)[0]
    try:
        streamed = json.loads(live(text))
    except MalformedArguments:
        assert "INVALID_JSON" in whole
        return
    assert streamed == whole


@pytest.mark.parametrize("size", [1, 2, 3, 99])
@pytest.mark.parametrize("said", [r"echo 'it'\''s'", r"print('it\'s')", r"a 'b' \\ 'c\'' d", r"x \\'y\'"])
def test_behind_an_apostrophe_without_a_backslash_the_backslash_of_the_next_one_stays(said, size):
    text = f'{{"a": "don\\\\\'t", "command": "{said}", "b": "don\\\'t"}}'
    meant = {"a": r"don\'t", "command": said.replace(r"\\", "\\"), "b": "don't"}
    assert input_of(text)[0] == meant
    sent = live(*[text[at : at + size] for at in range(0, len(text), size)])
    assert json.loads(sent) == meant


@pytest.mark.parametrize("size", [1, 2, 3, 99])
@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (r"git commit -m \'fix\'", "git commit -m 'fix'"),
        (r"echo \`date\`", r"echo \`date\`"),
        (r"grep \d \$HOME \. \(", r"grep \d \$HOME \. \("),
        (r"a \\'b", r"a \'b"),
    ],
)
def test_a_quote_that_json_does_not_escape_loses_its_backslash_in_each_reader(said, meant, size):
    text = f'{{"command": "{said}"}}'
    assert input_of(text)[0] == {"command": meant}
    sent = live(*[text[at : at + size] for at in range(0, len(text), size)])
    assert json.loads(sent) == {"command": meant}
    assert input_of(f'{{command: "{said}"}}')[0] == {"command": meant}
