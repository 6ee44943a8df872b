"""The times a gateway works with when nobody says otherwise."""

from gateway.conf import GatewayConf
from gateway.relay.gateway import Gateway


def test_the_usual_times_keep_claude_code_waiting():
    usual = {field: Gateway.__dataclass_fields__[field].default for field in Gateway.__dataclass_fields__}
    # it says "waiting" after 20 s without bytes, and gives up after 285 s without content
    assert usual["commit_after"] + usual["ping_interval"] <= 20
    assert 180 <= usual["stale_after"] < 285 - usual["ping_interval"]
    assert usual["trailer_timeout"] <= 5
    assert usual["call_timeout"] == 600


def test_the_settings_say_the_same():
    conf = GatewayConf()
    assert (conf.commit_after, conf.ping_interval) == (
        Gateway.__dataclass_fields__["commit_after"].default,
        Gateway.__dataclass_fields__["ping_interval"].default,
    )
