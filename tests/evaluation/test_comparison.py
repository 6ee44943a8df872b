"""Two answers compared: tools, targets, effects, texts."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.evaluation.comparison.commands import read_command
from gateway.evaluation.comparison.edits import EffectLikeness, TextEdit, same_result
from gateway.evaluation.comparison.steps import AGREEING, DIVERGING, StepVerdict, compare_steps
from gateway.evaluation.comparison.texts import compare_texts
from gateway.evaluation.comparison.tool_table import KNOWN
from gateway.evaluation.shares import Share
from tests.client_protocol.captured import ROOT


def call(name, **arguments):
    return {"type": "tool_use", "id": "toolu_1", "name": name, "input": arguments}


def answer(*blocks):
    return {"role": "assistant", "content": [text(one) if isinstance(one, str) else one for one in blocks]}


def text(words):
    return {"type": "text", "text": words}


def verdict(taken, proposed):
    return compare_steps(answer(taken), answer(proposed)).verdict


@pytest.mark.parametrize(
    ("taken", "proposed", "expected"),
    [
        (call("Read", file_path="/r/a.py"), call("Read", file_path="/r/./a.py", limit=9), "same"),
        (call("Read", file_path="/r/a.py"), call("Read", file_path="a.py"), "same"),
        (call("Read", file_path="C:\\r\\a.py"), call("Read", file_path="c:/r/a.py"), "same"),
        (call("Read", file_path="/r/a.py"), call("Read", file_path="/r/b.py"), "tool"),
        (call("Read", file_path="/r/xa.py"), call("Read", file_path="a.py"), "tool"),
        (call("Read", file_path="/r/a.py"), call("Write", file_path="/r/a.py", content="x"), "other"),
        (call("Write", file_path="a", content="x\n"), call("Write", file_path="a", content="x"), "same"),
        (call("Write", file_path="a", content="x"), call("Write", file_path="a", content="y"), "effect"),
        (call("Bash", command="ls -la src"), call("Bash", command="ls src/"), "same"),
        (call("Bash", command="ls src"), call("Bash", command="ls tests"), "effect"),
        (call("Bash", command="ls src"), call("Bash", command="rm src"), "tool"),
        (call("Bash", command="git -C /r status"), call("Bash", command="git diff"), "tool"),
        (call("Bash", command='git commit -m "a b"'), call("Bash", command="git commit -m 'c'"), "same"),
        (call("Grep", pattern="x", path="a"), call("Grep", pattern="x"), "target"),
        (call("Grep", pattern="x"), call("Grep", pattern="y"), "tool"),
        (call("WebFetch", url="https://a.b/c/#d"), call("WebFetch", url="http://a.b/c"), "same"),
        (call("WebSearch", query="Django release"), call("WebSearch", query="release django"), "same"),
        (call("Agent", subagent_type="x", prompt="a"), call("Agent", subagent_type="x"), "target"),
        (call("mcp__tracker__get", id=7), call("mcp__tracker__get", id=7), "same"),
        (call("mcp__tracker__get", id=7, full=True), call("mcp__tracker__get", id=7), "target"),
        (call("mcp__tracker__get", id=7), call("mcp__tracker__get", id=8), "tool"),
        (call("mcp__x__y", strange=1), call("mcp__x__y", strange=2), "tool"),
        (call("Read", file_path="/r/a.py"), "Done.", "stopped"),
        ("Done.", call("Read", file_path="/r/a.py"), "went_on"),
        ("Done.", "All is done.", "text"),
        ({"type": "tool_use", "name": "Read", "input": "broken"}, call("Read", file_path="x"), "tool"),
    ],
)  # fmt: skip
def test_a_proposed_step_is_compared_with_the_one_taken(taken, proposed, expected):
    assert verdict(taken, proposed) == expected


def test_a_verdict_agrees_or_diverges_or_is_about_texts():
    assert set(StepVerdict) == AGREEING | DIVERGING | {StepVerdict.TEXT}
    assert not AGREEING & DIVERGING


EDIT = "    total = 0\n    for item in items:\n        total += item\n    return total\n"


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (("total = 0", "total = 1"), ("total = 0", "total = 1"), "same"),
        (("total = 0", "total = 1"), ("total = 0", "total = 2"), "differs"),
        # one quotes more of the file than the other
        (("total = 0", "total = 1"), (EDIT, EDIT.replace("= 0", "= 1")), "same"),
        (("total = 0", "total = 1"), (EDIT, EDIT.replace("+= item", "+= 1")), "differs"),
        # each quotes what the other does not
        (("a = 1\n    total = 0", "a = 1\n    total = 9"), ("total = 0\n  for", "total = 9\n  for"), "same"),
        (("one\ntotal = 0", "one\ntotal = 9"), ("two\ntotal = 0", "two\ntotal = 9"), "differs"),
        # too little is shared to know the place
        (("a1", "a2"), ("1b", "2b"), "unknown"),
        # a new file
        (("", "text"), ("", "text"), "same"),
        (("", "text"), ("old", "text"), "differs"),
    ],
)  # fmt: skip
def test_edits_are_compared_by_the_text_that_they_leave(one, other, expected):
    assert same_result([TextEdit(*one)], [TextEdit(*other)]) == expected
    assert same_result([TextEdit(*other)], [TextEdit(*one)]) == expected


lines = st.lists(st.sampled_from(["alpha", "beta", "gamma", "delta = 1", ""]), min_size=1, max_size=8)


@given(lines, lines, lines, st.text("xyz", max_size=4), st.data())
def test_edits_called_the_same_leave_the_same_file(before, middle, after, new, data):
    """Whatever two edits quote of one file: `same` is never said of two that leave different texts."""
    file = "\n".join([*before, *middle, *after])

    def some():
        start = data.draw(st.integers(0, len(file) - 1)) if file else 0
        end = data.draw(st.integers(start, len(file)))
        return TextEdit(file[start:end], data.draw(st.sampled_from([new, file[start:end] + new, "q"])))

    one, other = some(), some()
    # Claude Code refuses an edit whose text is not unique
    if any(not edit.old or file.count(edit.old) != 1 for edit in (one, other)):
        return
    left = [file.replace(edit.old, edit.new) for edit in (one, other)]
    if same_result([one], [other]) == EffectLikeness.SAME:
        assert left[0] == left[1]


@pytest.mark.parametrize(
    ("command", "head"),
    [
        ("cd /repo && FOO=1 timeout 5 pytest -q tests 2>&1 | tail -20", "pytest"),
        ("/usr/bin/env python3 -m pytest tests", "python3 -m pytest"),
        ("git status --short", "git status"),
        ("npm run build", "npm run"),
        ("sudo rm -rf build", "rm"),
        ("", ""),
        ("cd /repo", "cd"),
        ("'unclosed quote", "unclosed quote"),
        ("cat <<'EOF' > file\ntext\nEOF", "cat"),
    ],
)
def test_the_head_of_a_command_is_what_it_runs(command, head):
    assert read_command(command).head == head


def test_what_only_shows_output_does_not_make_another_command():
    plain = read_command("pytest tests/a.py")
    assert read_command("cd /r && pytest -x tests/a.py 2>&1 | head -50") == plain
    assert read_command("pytest tests/a.py && rm tests/a.py") != plain


def test_fewer_calls_than_were_taken_are_compared_with_those_that_fit():
    three = [call("Read", file_path=f"/r/{name}.py") for name in "abc"]
    assert compare_steps(answer(*three), answer(three[1])).verdict == StepVerdict.SAME
    assert compare_steps(answer(three[1]), answer(*three)).verdict == StepVerdict.SAME
    two = compare_steps(answer(*three), answer(three[2], call("Read", file_path="/r/d.py")))
    assert (two.verdict, two.calls, two.proposed_calls) == (StepVerdict.TOOL, 3, 2)


def test_texts_are_compared_by_length_and_shared_words():
    assert compare_texts("", "") == (1.0, 1.0)
    assert compare_texts("one two three", "three two one") == (1.0, 1.0)
    assert compare_texts("one two", "one six") == (1.0, 0.5)
    assert compare_texts("a", "") == (0.0, 0.0)
    assert compare_texts("测试通过", "测试失败").overlap == 0.5


@pytest.mark.parametrize(
    ("part", "whole", "low", "high"),
    # Wilson's interval from a textbook's table
    [(94, 100, 0.875, 0.972), (0, 10, 0.0, 0.278), (10, 10, 0.722, 1.0), (0, 0, 0.0, 1.0)],
)
def test_a_share_has_wilsons_interval(part, whole, low, high):
    found = Share(part, whole).interval
    assert found == pytest.approx((low, high), abs=0.001)


def _tools(path):
    body = json.loads(path.read_text())
    return body.get("tools") or body.get("body", {}).get("tools") or ()


def test_every_tool_that_claude_code_offered_has_a_line():
    """Those of the captures: a tool that only the client has would be read by its arguments' names."""
    offered = {
        tool["name"]
        for path in sorted(ROOT.glob("*.request.json"))
        for tool in _tools(path)
        if "input_schema" in tool
    }
    # `add` is a tool of an SDK's example
    built_in = {name for name in offered if not name.startswith("mcp__")} - {"add"}
    assert built_in - KNOWN.keys() <= {
        "CronCreate", "CronDelete", "CronList", "EnterWorktree", "ExitWorktree", "ReportFindings",
        "ScheduleWakeup", "ListAgents", "DeferredToolPlaceholder",
    }  # fmt: skip


blocks = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(st.sampled_from([*KNOWN, "mcp__a__b"]), blocks, blocks)
def test_anything_is_compared_and_equal_calls_are_the_same(tool, one, other):
    def block(value):
        return {"type": "tool_use", "name": tool, "input": value}

    compare_steps({"content": [block(one), other]}, {"content": other})
    assert verdict(block(one), json.loads(json.dumps(block(one)))) in (StepVerdict.SAME,)


def deep(levels):
    value = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "blocks",
    [
        [call("Edit", file_path="/a", old_string="a" * 200_000, new_string="b" * 200_000)],
        [call("Edit", file_path=f"/{n}", old_string="ab" * 9_000, new_string="ba" * 999) for n in "1234567"],
        [call("MultiEdit", file_path="/a", edits=[{"old_string": "aab" * 99, "new_string": "aba"}] * 5_000)],
        [call("Bash", command="'" * 400_000)],
        [call("Bash", command="a|" * 4_000 + "b")] * 16,
        [call("Bash", command="\\" * 8_000)] * 16,
        [call("mcp__x__y", deep=deep(900))],
        [call("mcp__x__y", wide=list(range(300_000)))],
        [call("Read", file_path="../" * 100_000)] * 16,
        [text("a " * 2_000_000), *[call("Read", file_path="x")] * 5_000],
        [text("汉" * 3_000_000)],
    ],
    ids=range(11),
)  # fmt: skip
def test_a_hostile_answer_costs_little_time(blocks):
    other = json.loads(json.dumps(blocks).replace("a", "c")) if len(blocks) < 100 else blocks
    before = time.process_time()
    compare_steps(answer(*blocks), answer(*other))
    assert time.process_time() - before < 2.0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("echo x > /etc/a.conf", "echo x > b.txt"),
        ("cat > a.py", "cat > b.py"),
        ("echo x >> a", "echo x > a"),
        ("make &> a.log", "make &> b.log"),
        ("sort < a", "sort < b"),
        ("npm test; cat .env", "npm test"),
        ("npm test && cat .env", "npm test"),
        ("npm test || cat .env", "npm test"),
        ("pytest | tee /etc/passwd", "pytest"),
        ("pytest | tail -5 > out.txt", "pytest"),
        ("sed -i s/a/b/ x.py", "sed s/a/b/ x.py"),
        ("sed -i.bak s/a/b/ x.py", "sed s/a/b/ x.py"),
        ("git push --force", "git push"),
        ("git reset --hard", "git reset"),
    ],
)
def test_commands_that_write_elsewhere_or_do_more_are_not_the_same(one, other):
    assert read_command(one) != read_command(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("pytest -x", "pytest 2>&1 | tail -5"),
        ("pytest", "pytest 2>/dev/null | grep FAILED | head"),
        ("make", "make |& less"),
        ("make", "make &> /dev/null"),
        ("cat > a.py", "cat > ./a.py"),
        ("cat > a.py <<EOF", "cat <<EOF > a.py"),
        ("sed -i s/a/b/ x.py", "sed --in-place s/a/b/ x.py"),
    ][:6],
)
def test_commands_that_show_less_are_the_same(one, other):
    assert read_command(one) == read_command(other)


@pytest.mark.parametrize("tool", ["Grep", "Glob"])
@pytest.mark.parametrize(
    ("one", "other", "verdict"),
    [
        ("/a", "/b", StepVerdict.EFFECT), ("/a", "/a/", StepVerdict.SAME), ("/r/a", "a", StepVerdict.SAME),
        (".", None, StepVerdict.SAME), (None, None, StepVerdict.SAME), (None, "/r", StepVerdict.TARGET),
        ([1], [1], StepVerdict.TARGET),
    ],
)  # fmt: skip
def test_a_search_elsewhere_is_not_the_same(tool, one, other, verdict):
    places = ({} if at is None else {"path": at} for at in (one, other))
    found = [answer(call(tool, pattern="x", **place)) for place in places]
    assert compare_steps(*found).verdict == verdict
