"""What sessions are about, and the page on which one is read from its first message to its last."""

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission

from gateway.admin.sessions.transcript import PORTION
from gateway.history.totals.sessions import work_out
from gateway.models import ContentRead, RequestLog
from gateway.wire import jsontext
from tests.admin.history import HOSTILE, START, keep, make_rows
from tests.admin.pages import url

LIST = "/admin/gateway/sessiontotal/"
PAGE = f"{LIST}s-1/transcript/"
ANSWER = {"type": "message", "role": "assistant", "content": [{"type": "text", "text": "The last word."}]}


def asked(*texts):
    """A conversation of these texts, a person's first."""
    roles = ("user", "assistant")
    return [
        {"role": roles[at % 2], "content": [{"type": "text", "text": text}]} for at, text in enumerate(texts)
    ]


def kept(number, said, **values):
    [row] = make_rows(
        1, request_id=f"req_{number}", session_id="s-1", started_at=START + timedelta(minutes=number),
        request_class="main", **values,
    )  # fmt: skip
    keep(row, {}, jsontext.dumps({"model": "m", "messages": said}), b"", b"", jsontext.dumps(ANSWER))
    work_out("s-1")
    return row


def text_of(response):
    assert response.status_code == 200
    return response.content.decode()


def test_the_list_names_a_session_by_the_first_prompt_of_a_person(admin_client, db):
    reminder = {
        "type": "text",
        "text": "<system-reminder>Primary working directory: /srv/shop\n</system-reminder>",
    }
    prompt = {"type": "text", "text": "Fix the\n  checkout"}
    kept(1, [{"role": "user", "content": [reminder, prompt]}])
    kept(2, asked("Fix it", "Done", "Thanks"))
    text = text_of(admin_client.get(LIST))
    assert "Fix the checkout" in text
    assert "shop" in text
    assert "Thanks" not in text


def test_titles_are_noted_as_reads_once_a_day(admin_client, db):
    kept(1, asked("Fix it"))
    for _ in range(2):
        admin_client.get(LIST)
    assert list(ContentRead.objects.values_list("request_id", "part")) == [("req_1", "title")]


def test_who_may_not_read_contents_sees_no_title_and_no_transcript(client, db):
    kept(1, asked("A secret plan"))
    user = get_user_model().objects.create_user("viewer", password="x", is_staff=True)
    user.user_permissions.set(
        Permission.objects.filter(codename__in=["view_requestlog", "view_sessiontotal"])
    )
    client.force_login(user)
    for page in (LIST, url("sessiontotal", "change", "s-1"), PAGE):
        text = text_of(client.get(page))
        assert "A secret plan" not in text
    assert "You may not read the content of requests." in text
    assert not ContentRead.objects.exists()


def test_somebody_else_gets_nothing_of_a_session(client, db):
    kept(1, asked("A secret plan"))
    client.force_login(get_user_model().objects.create_user("other", password="x", is_staff=True))
    assert client.get(PAGE).status_code == 403


def test_the_transcript_is_the_whole_conversation_with_the_last_answer(admin_client, db):
    kept(1, asked("First", "Second", "Third"))
    kept(2, asked("First", "Second", "Third", "Fourth", "Fifth"))
    text = text_of(admin_client.get(PAGE))
    places = [text.index(part) for part in ("First", "Second", "Third", "Fourth", "Fifth", "The last word.")]
    assert places == sorted(places)
    assert text.count("Fourth") == 1
    assert "The end." in text
    assert ("req_2", "transcript") in ContentRead.objects.values_list("request_id", "part")


def test_what_was_compacted_away_is_read_before_what_came_after(admin_client, db):
    kept(1, asked("Before", "Old answer"))
    kept(2, asked("A summary of what was said"))
    first = admin_client.get(PAGE)
    text = text_of(first)
    assert "Part 1 of 2" in text and "Before" in text
    following = text_of(admin_client.get(first.context["more"]))
    assert "Part 2 of 2" in following and "A summary of what was said" in following


def test_a_long_conversation_is_read_in_portions_that_leave_nothing_out(admin_client, db):
    said = [f"message number {number};" for number in range(2 * PORTION + 5)]
    kept(1, asked(*said))
    page, found = PAGE, ""
    for _ in range(3):
        response = admin_client.get(page)
        found += text_of(response)
        page = response.context["more"]
    assert page == ""
    assert [found.count(text) for text in said] == [1] * len(said)
    alone = text_of(admin_client.get(f"{PAGE}?part=0-{PORTION}&alone=1"))
    assert "<html" not in alone and said[PORTION] in alone and said[PORTION - 1] not in alone


def test_results_at_the_beginning_of_a_portion_name_their_tool(admin_client, db):
    said = asked(*(f"m{number}" for number in range(PORTION - 1)))
    call = {"type": "tool_use", "id": "t1", "name": "Bash", "input": {"command": "ls"}}
    result = {"type": "tool_result", "tool_use_id": "t1", "content": "a.py"}
    kept(1, [*said, {"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}])
    text = text_of(admin_client.get(f"{PAGE}?part=0-{PORTION}&alone=1"))
    assert "<code>Bash</code>" in text and "a.py" in text


def test_calls_that_repeat_are_named(admin_client, db):
    call = {"type": "tool_use", "id": "t", "name": "Read", "input": {"file_path": "/a.py"}}
    once = {"type": "tool_use", "id": "u", "name": "Grep", "input": {"pattern": "x"}}
    kept(
        1, [{"role": "assistant", "content": [call, once]}, *([{"role": "assistant", "content": [call]}] * 2)]
    )
    [repeated] = admin_client.get(PAGE).context["repeated"]
    assert (repeated.name, repeated.times) == ("Read", 3)
    assert "/a.py" in repeated.arguments


def test_each_agent_has_a_transcript_of_its_own(admin_client, db):
    kept(1, asked("Of the main one"))
    kept(2, asked("Of the subagent"), agent_id="a1", parent_agent_id="")
    main, sub = (text_of(admin_client.get(PAGE, {"agent": agent})) for agent in ("", "a1"))
    assert "Of the main one" in main and "Of the subagent" not in main
    assert "Of the subagent" in sub


@pytest.mark.parametrize(
    "query",
    [
        "part=9-9",
        "part=-1-0",
        "part=x",
        "part=0-99999999999999999999",
        "agent=%00",
        "of=nobody",
        f"part={'9' * 400}",
    ],
)
def test_an_address_that_means_nothing_is_no_error(admin_client, db, query):
    kept(1, asked("First"))
    assert admin_client.get(f"{PAGE}?{query}").status_code == 200


def test_hostile_texts_are_shown_as_they_are(admin_client, db):
    kept(1, asked(HOSTILE, HOSTILE))
    for page in (LIST, url("sessiontotal", "change", "s-1"), PAGE):
        assert "<script>alert" not in text_of(admin_client.get(page))


def test_a_session_whose_contents_are_gone_says_so(admin_client, db):
    make_rows(1, session_id="s-1")
    work_out("s-1")
    assert "are not kept" in text_of(admin_client.get(PAGE))
    assert RequestLog.objects.get().session_id in text_of(admin_client.get(LIST))
