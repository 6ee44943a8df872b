"""Notes about an exchange."""

from gateway.relay.exchange.timeline import MOST_NOTES, Timeline


def test_notes_are_milliseconds_since_the_start():
    timeline = Timeline()
    timeline.committed(12.0)
    timeline.ping(13.5)
    timeline.gap(20.0, 4.0)
    assert timeline.as_json(10.0) == [["commit", 2000, 0], ["ping", 3500, 0], ["gap", 6000, 4000]]


def test_what_is_too_much_is_counted():
    timeline = Timeline()
    for number in range(MOST_NOTES + 3):
        timeline.ping(number)
    notes = timeline.as_json(0)
    assert len(notes) == MOST_NOTES + 1
    assert notes[-1] == ["more", 3, 0]
