"""Checks of messages and their blocks."""

import pytest

from gateway.conversion.validation.block_checks import MAX_MESSAGES, check_messages
from gateway.errors import InvalidRequest
from tests.conversion.converting import IMAGE, PIXEL, assistant, call, result, system, text, thinking, user

PDF = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0xLjQK"}
NO_TAG = "found using 'type' does not match any of the expected tags: "


def refusal(*messages):
    with pytest.raises(InvalidRequest) as caught:
        check_messages(list(messages))
    return caught.value.message


def image(**source):
    return {"type": "image", "source": source}


def document(**source):
    return {"type": "document", "source": source}


def search_result(**fields):
    return {"type": "search_result", "title": "T", "source": "S", "content": [text("x")], **fields}


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        (["hi"], "messages.0: Input should be a valid dictionary"),
        ([{"content": "a"}], "messages.0.role: Field required"),
        (
            [{"role": "tool", "content": "a"}],
            "messages.0.role: Input should be 'user', 'assistant' or 'system'",
        ),
        ([{"role": 5, "content": "a"}], "messages.0.role: Input should be 'user', 'assistant' or 'system'"),
        ([{"role": "user"}], "messages.0.content: Field required"),
        ([{"role": "system"}], "messages.0.content: Field required"),
        ([{"role": "user", "content": 5}], "messages.0.content: Input should be a valid list"),
        ([{"role": "user", "content": ["a"]}], "messages.0.content.0: Input should be a valid dictionary"),
        ([user({"text": "a"})], "messages.0.content.0.type: Field required"),
        ([user("a"), user("")], "messages.1: user messages must have non-empty content"),
        ([{"role": "user", "content": []}], "messages.0: user messages must have non-empty content"),
        (
            [system("a", output_config={"effort": "turbo"}), user("a")],
            "messages.0.output_config.effort: Input should be 'low', 'medium', 'high', 'xhigh' or 'max'",
        ),
    ],
)
def test_a_broken_message_is_refused_with_its_place(messages, message):
    assert refusal(*messages) == message


def test_too_many_messages_are_refused():
    messages = [user("a")] * (MAX_MESSAGES + 1)
    assert refusal(*messages) == "messages: List should have at most 100000 items after validation"


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"type": "text"}, "P.text.text: Field required"),
        ({"type": "text", "text": 5}, "P.text.text: Input should be a valid string"),
        ({"type": "image"}, "P.source: Field required"),
        (image(), "P.source.type: Field required"),
        (image(type="ftp"), f"P.source: Input tag 'ftp' {NO_TAG}'base64', 'file', 'url'"),
        (
            image(type="base64", media_type="image/bmp", data=PIXEL),
            "P.source.base64.media_type: Input should be "
            "'image/jpeg', 'image/png', 'image/gif' or 'image/webp'",
        ),
        (image(type="base64", media_type="image/png", data="@@"), "P.source.base64.data: invalid base64"),
        (image(type="base64", media_type="image/png", data="é"), "P.source.base64.data: invalid base64"),
        (image(type="base64", media_type="image/png"), "P.source.base64.data: Field required"),
        (image(type="url", url="file:///etc"), "P.source.url: Only HTTPS URLs are supported"),
        (
            image(type="file", file_id="f"),
            "P.source.file_id: the Files API is not supported by this gateway",
        ),
        (
            document(type="file", file_id="f"),
            "P.source.file_id: the Files API is not supported by this gateway",
        ),
        (
            document(type="base64", media_type="text/html", data="aaaa"),
            "P.source.base64.media_type: Input should be 'application/pdf'",
        ),
        (
            document(type="base64", media_type="application/pdf", data="a"),
            "P.source.base64.data: invalid base64",
        ),
        (document(type="text"), "P.source.text.data: Field required"),
        (document(type="content"), "P.source.content: Field required"),
        (
            document(type="content", content=[{"type": "document"}]),
            f"P.source.content.0: Input tag 'document' {NO_TAG}'text', 'image'",
        ),
        (document(type="url"), "P.source.url: Field required"),
        (document(type="x"), f"P.source: Input tag 'x' {NO_TAG}'base64', 'content', 'file', 'text', 'url'"),
        ({**document(**PDF), "title": 5}, "P.document.title: Input should be a valid string"),
        (search_result(title=None), "P.search_result.title: Field required"),
        (search_result(content="x"), "P.search_result.content: Input should be a valid list"),
        ({"type": "container_upload"}, "P: container uploads are not supported by this gateway"),
        ({"type": "tool_result"}, "P.tool_result.tool_use_id: Field required"),
        (result(is_error="no"), "P.tool_result.is_error: Input should be a valid boolean"),
        (result(content=5), "P.tool_result.content: Input should be a valid list"),
        (result(content=[{"type": "text"}]), "P.content.0.text.text: Field required"),
        (
            result(content=[{"type": "tool_reference"}]),
            "P.content.0.tool_reference.tool_name: Field required",
        ),
        ({"type": "compaction", "content": 5}, "P.compaction.content: Input should be a valid string"),
        (
            text("a", cache_control={"type": "ephemeral", "ttl": "2h"}),
            "P.cache_control.ttl: Input should be '5m' or '1h'",
        ),
        (text("a", cache_control={"type": "x"}), "P.cache_control.type: Input should be 'ephemeral'"),
        (text("a", cache_control=5), "P.cache_control: Input should be a valid dictionary"),
    ],
)
def test_a_broken_user_block_is_refused_with_its_place(block, message):
    assert refusal(user(block)) == message.replace("P", "messages.0.content.0", 1)


@pytest.mark.parametrize("kind", ["foo", "thinking", "tool_use", "server_tool_use", "tool_addition"])
def test_a_block_type_a_user_message_cannot_hold_is_refused_by_its_tag(kind):
    message = refusal(user({"type": kind}))
    assert message == (
        f"messages.0.content.0: Input tag '{kind}' {NO_TAG}'text', 'image', 'document', 'search_result', "
        "'tool_result', 'compaction', 'container_upload'"
    )


@pytest.mark.parametrize("kind", ["image", "document", "search_result", "tool_result"])
def test_blocks_of_users_are_not_permitted_in_assistant_messages(kind):
    message = refusal(user("a"), assistant({"type": kind}))
    assert message == f"messages.1.content.0: '{kind}' blocks are not permitted in assistant messages"


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"type": "tool_use", "name": "f", "input": {}}, "P.tool_use.id: Field required"),
        ({"type": "tool_use", "id": "a", "input": {}}, "P.tool_use.name: Field required"),
        ({"type": "tool_use", "id": "a", "name": "f"}, "P.tool_use.input: Field required"),
        ({**call(), "input": []}, "P.tool_use.input: Input should be a valid dictionary"),
        ({"type": "thinking"}, "P.thinking.thinking: Field required"),
        ({"type": "thinking", "thinking": 5}, "P.thinking.thinking: Field required"),
    ],
)
def test_a_broken_assistant_block_is_refused_with_its_place(block, message):
    assert refusal(user("a"), assistant(block)) == message.replace("P", "messages.1.content.0", 1)


def test_an_unknown_assistant_block_names_no_type_that_is_not_permitted_either():
    message = refusal(user("a"), assistant({"type": "foo"}))
    assert "Input tag 'foo'" in message
    assert "'image'" not in message


def test_a_system_message_holds_text_and_tool_changes_only():
    assert refusal(system(IMAGE), user("a")) == (
        f"messages.0.content.0: Input tag 'image' {NO_TAG}'text', 'tool_addition', 'tool_removal'"
    )


def test_legal_messages_pass():
    check_messages(
        [
            system(text("a"), {"type": "tool_addition"}, output_config={"effort": "low"}),
            {"role": "system", "output_config": {"effort": "max"}},
            user("", IMAGE, image(type="url", url="HTTPS://e.com/a.png"), image(type="url", url="data:x")),
            assistant(""),
            assistant(
                thinking("x"), {"type": "thinking", "thinking": ""}, {"type": "redacted_thinking"}, call("")
            ),
            user(result("", []), result("a", [search_result(), IMAGE, document(type="text", data="")])),
            assistant({"type": "fallback"}, {"type": "web_search_tool_result", "content": 5}),
            user(document(**{**PDF, "data": "JVBE\r\nRi0xLjQK"}), {"type": "compaction", "content": None}),
        ]
    )
