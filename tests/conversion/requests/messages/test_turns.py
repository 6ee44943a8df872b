"""Messages as turns: control blocks applied, neighbours of the same role merged."""

from gateway.conversion.request_context import Notes
from gateway.conversion.requests.messages.turns import turns
from tests.conversion.converting import assistant, call, result, system, text, user


def shape(*messages, mid_system="keep"):
    """(role, [texts or types]) of each turn."""
    return [
        (turn.role, [located.block.get("text", located.block["type"]) for located in turn.blocks])
        for turn in turns(list(messages), mid_system, Notes())
    ]


def test_neighbours_of_the_same_role_are_merged():
    assert shape(user("a"), user("b"), assistant("c"), assistant("d", "e"), user("f")) == [
        ("user", ["a", "b"]),
        ("assistant", ["c", "d", "e"]),
        ("user", ["f"]),
    ]


def test_a_system_message_between_them_prevents_merging():
    assert shape(user("a"), system("s"), user("b")) == [("user", ["a"]), ("system", ["s"]), ("user", ["b"])]


def test_empty_messages_and_empty_texts_are_skipped():
    assert shape(user("a"), assistant(""), assistant(""), user(""), assistant("", "b"), user("c")) == [
        ("user", ["a"]),
        ("assistant", ["b"]),
        ("user", ["c"]),
    ]


def test_control_blocks_disappear():
    control = [{"type": "fallback"}, {"type": "mcp_tool_listing"}, {"type": "container_upload"}]
    changes = [{"type": "tool_addition"}, {"type": "tool_removal"}]
    assert shape(user("a"), assistant(*control, "b"), system(*changes)) == [
        ("user", ["a"]),
        ("assistant", ["b"]),
    ]


def test_a_system_message_may_carry_settings_only():
    assert shape(user("a"), {"role": "system", "output_config": {"effort": "low"}}) == [("user", ["a"])]


def test_a_system_message_to_be_cleared_is_gone_once_the_user_spoke_again():
    expiring = system("s", clear_at="next_user_message")
    assert shape(user("a"), expiring, assistant("b"), user("c"))[1][0] == "assistant"
    assert shape(user("a"), expiring) == [("user", ["a"]), ("system", ["s"])]


def test_a_compaction_summary_becomes_a_user_message_whoever_carried_it():
    summary = {"type": "compaction", "content": "all"}
    assert shape(assistant("a", summary, "b"), user("c")) == [
        ("assistant", ["a"]),
        ("user", ["compaction"]),
        ("assistant", ["b"]),
        ("user", ["c"]),
    ]
    assert shape(assistant(summary), user("c")) == [("user", ["compaction", "c"])]


def test_a_failed_compaction_is_nothing():
    assert shape(assistant({"type": "compaction", "content": None}), user("c")) == [("user", ["c"])]


REMINDER = "<system-reminder>\ns\n</system-reminder>"


def test_reminders_stand_behind_the_content_of_the_user_turn_before_them():
    assert shape(user("a"), system("s"), assistant("b"), mid_system="user") == [
        ("user", ["a", REMINDER]),
        ("assistant", ["b"]),
    ]


def test_reminders_before_a_user_turn_stand_behind_its_own_content():
    assert shape(user("a"), assistant("b"), system("s"), user("c", "d"), mid_system="user")[2] == (
        "user",
        ["c", "d", REMINDER],
    )
    assert shape(system("s"), user("a"), mid_system="user") == [("user", ["a", REMINDER])]


def test_reminders_without_a_neighbour_become_a_user_turn_of_their_own():
    assert shape(user("a"), assistant("b"), system("s"), assistant("c"), mid_system="user")[1:] == [
        ("assistant", ["b"]),
        ("user", [REMINDER]),
        ("assistant", ["c"]),
    ]
    assert shape(user("a"), assistant("b"), system("s"), mid_system="user")[2] == ("user", [REMINDER])


def test_reminders_between_users_do_not_keep_them_apart():
    assert shape(user("a"), system("s"), user("b"), mid_system="user") == [("user", ["a", REMINDER, "b"])]


def test_a_reminder_keeps_the_cache_marker_of_its_message():
    marked = system(text("s", cache_control={"type": "ephemeral"}))
    (turn,) = turns([user("a"), marked], "user", Notes())
    assert turn.blocks[1].block["cache_control"] == {"type": "ephemeral"}


def test_a_user_speaks_with_more_than_tool_results_and_reminders_do_not_count():
    messages = [
        user("a"),
        assistant(call()),
        system("s"),
        user(result()),
        assistant("b"),
        user(result("x"), "c"),
    ]
    for mid_system in ("keep", "user"):
        found = turns(messages, mid_system, Notes())
        assert [turn.speaks for turn in found if turn.role == "user"] == [True, False, True]


def test_a_block_knows_its_place_in_the_request():
    (turn,) = turns([user("a"), user("", "b")], "keep", Notes())
    assert [located.path for located in turn.blocks] == ["messages.0.content.0", "messages.1.content.1"]
