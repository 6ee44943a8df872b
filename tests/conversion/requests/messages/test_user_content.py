"""Blocks of users as parts: texts, images, search results, summaries."""

import json

import pytest

from tests.conversion.converting import (
    IMAGE,
    IMAGE_PART,
    PIXEL,
    assistant,
    call,
    convert,
    messages_of,
    request_of,
    result,
    text,
    user,
)

OMITTED = "[image omitted: the selected model cannot view images]"
SEARCH = {"type": "search_result", "title": 'A "T"', "source": "S", "content": [text("x"), text("y")]}


def content_of(*blocks, options=None):
    (message,) = messages_of(user(*blocks), options=options)
    return message["content"]


def image(**source):
    return {"type": "image", "source": source}


def part(value):
    return {"type": "text", "text": value}


def test_a_text_only_turn_is_one_string_with_paragraphs():
    assert content_of("hi") == "hi"
    assert content_of("a", "b") == "a\n\nb"


def test_a_text_only_turn_stays_parts_where_the_profile_wants_parts():
    assert content_of("hi", options={"content_parts": "always"}) == [part("hi")]


def test_text_and_images_keep_their_order_as_parts():
    assert content_of("a", IMAGE, "b") == [part("a"), IMAGE_PART, part("b")]
    assert content_of(IMAGE) == [IMAGE_PART]


def test_whitespace_in_image_data_is_removed():
    broken = PIXEL[:20] + "\r\n" + PIXEL[20:] + "\n"
    assert content_of(image(type="base64", media_type="image/png", data=broken)) == [IMAGE_PART]


@pytest.mark.parametrize(
    ("magic", "media_type"),
    [
        ("iVBORw0KGgo=", "image/png"),
        ("/9j/4AAQSkZJRg==", "image/jpeg"),
        ("R0lGODlhAQABAAAA", "image/gif"),
        ("UklGRhoAAABXRUJQVlA4", "image/webp"),
        ("AAAA", "image/gif"),
    ],
)
def test_magic_bytes_win_over_a_wrong_media_type(magic, media_type):
    (found,) = content_of(image(type="base64", media_type="image/gif", data=magic))
    assert found["image_url"]["url"] == f"data:{media_type};base64,{magic}"


@pytest.mark.parametrize("url", ["https://e.com/a.png", "http://e.com/a.png", "data:image/png;base64,AAAA"])
def test_an_image_url_goes_up_as_it_is(url):
    assert content_of(image(type="url", url=url)) == [{"type": "image_url", "image_url": {"url": url}}]


def test_a_model_without_vision_gets_a_marker():
    outcome = convert(request_of(user("a", IMAGE)), {"images": "text"})
    assert outcome.messages[0]["content"] == f"a\n\n{OMITTED}"
    assert outcome.codes == ["replaced"]


def test_image_transformations_are_dropped():
    outcome = convert(request_of(user({**IMAGE, "transformations": [{"type": "crop"}]})))
    assert outcome.messages[0]["content"] == [IMAGE_PART]
    assert outcome.codes == ["dropped"]


def test_a_search_result_is_wrapped_as_text():
    outcome = convert(request_of(user({**SEARCH, "citations": {"enabled": True}})))
    assert outcome.messages[0]["content"] == (
        '<search_result title="A &quot;T&quot;" source="S">\nx\n\ny\n</search_result>'
    )
    assert sorted(outcome.codes) == ["dropped", "replaced"]


def test_a_compaction_summary_is_wrapped_as_text():
    assert content_of({"type": "compaction", "content": "all"}) == (
        "<conversation_summary>\nall\n</conversation_summary>"
    )


def test_empty_texts_are_skipped_and_citations_on_text_are_dropped_silently():
    outcome = convert(request_of(user("", text("a", citations=[{"type": "x"}]), "")))
    assert outcome.messages == [{"role": "user", "content": "a"}]
    assert outcome.entries == []


@pytest.mark.parametrize(
    ("data", "told", "sent"),
    [
        (
            "UklGRhoAAABXRUJQVlA4",
            "image/webp",
            "[image omitted: the provider cannot read WEBP images]",
        ),
        # the bytes decide, not the label
        (
            "UklGRhoAAABXRUJQVlA4",
            "image/png",
            "[image omitted: the provider cannot read WEBP images]",
        ),
        ("iVBORw0KGgo=", "image/webp", None),
    ],
)
def test_an_image_that_the_provider_cannot_read_is_told_in_words(data, told, sent):
    source = image(type="base64", media_type=told, data=data)
    content = content_of(source, "b", options={"image_types": ["image/png", "image/jpeg"]})
    first = "[image omitted" if sent else "image_url"
    assert first in str(content)
    if sent:
        assert sent in str(content)


BLANKS = [" ", "\n", "\t\n ", "\u00a0", "\u3000", ""]


@pytest.mark.parametrize("blank", BLANKS)
@pytest.mark.parametrize("protocol", ["chat", "responses"])
@pytest.mark.parametrize(
    "options", [{}, {"tool_result_images": "inline"}, {"cache_control": "keep"}, {"content_parts": "always"}]
)
def test_no_blank_text_is_sent_where_something_else_is_said(blank, protocol, options):
    begun = [user("hi"), assistant(text(blank), call("t1"))]
    for more in (
        [user(result("t1", blank))],
        [user(result("t1", [text(blank)]))],
        [user(result("t1", [text(blank), text("x"), text(blank)]))],
        [user(result("t1", [text(blank), IMAGE]))],
        [user(result("t1", blank, is_error=True))],
        [user(result("t1", "x"), text(blank))],
        [user(result("t1", [IMAGE]), text(blank))],
        [user(result("t1", "x"), text(blank), text("go on"))],
        [user(result("t1", "x")), assistant(blank or " ", call("t2")), user(result("t2", blank))],
        [user(text(blank), text("x"), text(blank))],
    ):
        converted = convert(request_of(*begun, *more), {"protocol": protocol, **options})
        said = json.dumps(converted.messages, ensure_ascii=False)
        for key in ("content", "text", "output"):
            for written in {blank, blank.replace("\n", "\\n").replace("\t", "\\t")}:
                assert f'"{key}": "{written}"' not in said, more


def test_a_message_of_blanks_alone_is_sent_as_it_is():
    assert messages_of(" ")[0]["content"] == " "
