"""Tool results as tool messages, attachments hoisted."""

import pytest

from tests.conversion.converting import (
    IMAGE,
    IMAGE_PART,
    assistant,
    call,
    convert,
    messages_of,
    request_of,
    result,
    text,
    user,
)
from tests.conversion.pdf_files import pdf_of

LONG = "mcp__very_long_server_name__with_a_tool_name_that_is_clearly_longer_than_sixty_four"
PDF = {
    "type": "document",
    "source": {"type": "base64", "media_type": "application/pdf", "data": pdf_of("Hello")},
}
NOTE = {"type": "document", "title": "T", "source": {"type": "text", "data": "body"}}


def tool_messages(*results, options=None, **fields):
    """The messages behind two calls, for their results."""
    blocks = [block if isinstance(block, dict) else result(content=block, **fields) for block in results]
    calls = [call(block["tool_use_id"]) for block in blocks if block["type"] == "tool_result"]
    return messages_of("a", assistant(*calls), user(*blocks), options=options)[2:]


def content_of(content, options=None, **fields):
    (message,) = tool_messages(content, options=options, **fields)
    return message["content"]


@pytest.mark.parametrize(
    ("content", "sent"),
    [
        (None, "(no output)"),
        ("", "(no output)"),
        ([], "(no output)"),
        ([text("")], "(no output)"),
        ("\n", "(no output)"),
        (" \t\u2003", "(no output)"),
        ([text("\n"), text(" ")], "(no output)"),
        ("\n x", "\n x"),
        ("noon", "noon"),
        (" noon\n", " noon\n"),
        ([text("a"), text(""), text("b")], "a\n\nb"),
        ([NOTE], '<document title="T">\nbody\n</document>'),
        (
            [{"type": "search_result", "title": "T", "source": "S", "content": [text("x")]}],
            '<search_result title="T" source="S">\nx\n</search_result>',
        ),
        ([{"type": "tool_reference", "tool_name": "f"}], "Tool available: f"),
        (
            [{"type": "tool_reference", "tool_name": LONG}],
            "Tool available: mcp__very_long_server_name__with_a_tool_name_that_is_cl_a975cf1c",
        ),
        (
            [{"type": "browser_state", "tabs": [{"id": 1, "title": "é"}], "x": 1}],
            '[browser state] {"tabs":[{"id":1,"title":"é"}]}',
        ),
        ([PDF], "<document>\n[page 1]\nHello\n</document>"),
    ],
)
def test_every_result_is_one_tool_message_of_text(content, sent):
    assert content_of(content) == sent


@pytest.mark.parametrize(
    ("content", "sent"),
    [
        ("boom", "ERROR: boom"),
        ("Error: x", "Error: x"),
        ("  ERROR x", "  ERROR x"),
        ("<tool_use_error>x</tool_use_error>", "<tool_use_error>x</tool_use_error>"),
        ([text("no such"), text("city")], "ERROR: no such\n\ncity"),
        (None, "ERROR: (no output)"),
        ([], "ERROR: (no output)"),
    ],
)
def test_an_error_shows_in_the_text(content, sent):
    assert content_of(content, is_error=True) == sent
    assert not content_of(content, is_error=False).startswith("ERROR:")


def test_a_tool_result_with_an_image_is_hoisted_behind_all_tool_messages():
    outcome = convert(
        request_of(
            "a",
            assistant(call("t1"), call("t2")),
            user(result("t1", [text("see"), IMAGE]), result("t2", [IMAGE]), "now"),
        )
    )
    assert outcome.messages[2:] == [
        {
            "role": "tool",
            "tool_call_id": "t1",
            "content": "see\n\n[image #1: attached in the next user message]",
        },
        {"role": "tool", "tool_call_id": "t2", "content": "[image #2: attached in the next user message]"},
        {
            "role": "user",
            "content": [
                text("[image #1 from tool result t1]"),
                IMAGE_PART,
                text("[image #2 from tool result t2]"),
                IMAGE_PART,
                text("now"),
            ],
        },
    ]
    assert outcome.codes == ["moved"]
    assert outcome.entries[0][2].endswith("(2 times)")


def test_an_erroneous_result_that_is_only_an_image_says_so():
    first, second = tool_messages([IMAGE], is_error=True)
    assert first["content"].startswith("ERROR: ")
    assert first["content"].endswith("[image #1: attached in the next user message]")
    assert second["role"] == "user"


def test_counting_starts_again_with_each_user_turn():
    messages = messages_of(
        "a",
        assistant(call("t1")),
        user(result("t1", [IMAGE])),
        assistant(call("t2")),
        user(result("t2", [IMAGE])),
    )
    markers = [m["content"] for m in messages if m["role"] == "tool"]
    assert markers == ["[image #1: attached in the next user message]"] * 2


def test_images_stand_inline_where_the_provider_takes_them():
    (message,) = tool_messages([text("a"), IMAGE, text("b")], options={"tool_result_images": "inline"})
    assert message["content"] == [text("a"), IMAGE_PART, text("b")]


@pytest.mark.parametrize("where", ["hoist", "inline"])
def test_a_model_without_vision_gets_only_a_marker(where):
    options = {"images": "text", "tool_result_images": where}
    assert content_of([text("a"), IMAGE], options) == (
        "a\n\n[image omitted: the selected model cannot view images]"
    )


@pytest.mark.parametrize("form", ["file", "document_url"])
def test_a_pdf_in_a_result_is_hoisted_as_a_file(form):
    tool, following = tool_messages([PDF], options={"pdf": form})
    assert tool["content"] == "[document #1: attached in the next user message]"
    assert following["content"][0] == text("[document #1 from tool result t1]")
    assert following["content"][1]["type"] == form


def test_text_and_image_behind_a_result_make_one_user_message():
    tool, following = tool_messages(result(content="x"), text("b"), IMAGE)
    assert tool == {"role": "tool", "tool_call_id": "t1", "content": "x"}
    assert following == {"role": "user", "content": [text("b"), IMAGE_PART]}


def test_text_before_a_result_stands_behind_it():
    outcome = convert(request_of("a", assistant(call()), user("b", result(content="x"))))
    assert [message["role"] for message in outcome.messages] == ["user", "assistant", "tool", "user"]
    assert outcome.codes == ["moved"]


def test_a_result_without_a_call_keeps_its_image():
    (message,) = messages_of(user(result("t9", [IMAGE])))
    assert message["content"] == [text("[tool result for t9]\n"), IMAGE_PART]


class TestWhereOnlyAnAssistantMayFollowTools:
    OPTIONS = {"assistant_after_tool": True}

    def converted(self, *behind, **options):
        request = request_of("a", assistant(call()), *behind)
        outcome = convert(request, {**self.OPTIONS, **options})
        return outcome.messages[2:], outcome.codes

    def test_text_joins_the_last_result(self):
        messages, codes = self.converted(user(result(content="x"), "b", "c"))
        assert messages == [{"role": "tool", "tool_call_id": "t1", "content": "x\n\nb\n\nc"}]
        assert codes == ["moved"]

    def test_text_joins_a_result_of_parts_as_a_part(self):
        messages, _ = self.converted(user(result(content=[IMAGE]), "b"), tool_result_images="inline")
        assert messages[0]["content"] == [IMAGE_PART, text("b")]

    def test_an_image_stands_behind_a_filler(self):
        messages, codes = self.converted(user(result(content="x"), IMAGE))
        assert messages[1:] == [
            {"role": "assistant", "content": "(continuing)"},
            {"role": "user", "content": [IMAGE_PART]},
        ]
        assert codes == ["moved"]

    def test_a_system_message_stands_behind_a_filler_too(self):
        messages, _ = self.converted(user(result(content="x")), {"role": "system", "content": "s"})
        assert [message["role"] for message in messages] == ["tool", "assistant", "system"]

    def test_an_answer_needs_no_filler(self):
        messages, codes = self.converted(user(result(content="x")), assistant("b"), user("c"))
        assert [message["role"] for message in messages] == ["tool", "assistant", "user"]
        assert codes == []
