"""The benchmark of the first text over TLS takes its three ways."""

from bench.first_text_tls import measured


async def test_each_way_gives_a_time():
    found = await measured(rounds=2)
    assert list(found) == ["new connection", "session resumed", "warm connection"]
    assert all(len(times) == 2 and min(times) > 0 for times in found.values())
