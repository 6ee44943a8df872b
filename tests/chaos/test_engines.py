"""The engines that tests and campaigns start for themselves."""

import asyncio
import signal
import socket
import subprocess
import sys
from urllib.parse import urlsplit

import psycopg
import pytest
from channels_redis.core import RedisChannelLayer
from django.core.cache.backends.redis import RedisCache

from ccproxy_site import settings
from chaos.engines import EngineMissing, Postgres, running

pytestmark = pytest.mark.once


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
def test_what_was_stored_is_there_after_a_stop_and_a_start(how):
    try:
        postgres = Postgres()
    except EngineMissing as missing:
        pytest.skip(f"NOT TESTED: {missing}")
    with running(postgres):
        url = postgres.create("kept")
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 1 AS number")
        postgres.stop(how)
        assert not postgres.answers()
        postgres.start()
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT number FROM kept").fetchone() == (1,)
    assert not postgres.folder.exists()


def test_a_paused_server_answers_after_it_is_resumed(postgres):
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        postgres.pause()
        try:
            assert not postgres.answers()
        finally:
            postgres.resume()
        assert connection.execute("SELECT 1").fetchone() == (1,)


SAYS_WHERE_AND_STAYS = """
import os, signal, time
# a run in the background inherits that Ctrl-C is ignored
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    print(os.environ["ENGINES_DATABASE_URL"], os.environ["ENGINES_REDIS_URL"], flush=True)
    time.sleep(100)
finally:
    print("cleared away", flush=True)
"""


def test_engines_of_a_command_end_with_it_when_it_is_told_to_stop(postgres, redis_server):
    with subprocess.Popen(
        [sys.executable, "-m", "chaos.engines", sys.executable, "-c", SAYS_WHERE_AND_STAYS],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as command:  # fmt: skip
        ports = [urlsplit(url).port for url in command.stdout.readline().split()]
        assert len(ports) == 2
        command.terminate()
        assert command.stdout.read() == "cleared away\n"
        assert command.wait(30) == 128 + signal.SIGTERM
    for port in ports:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=2)


def test_redis_is_cache_and_channel_layer_by_its_url_alone(redis_server):
    url = redis_server.url()
    cache = settings.caches(url)["default"]
    assert cache["BACKEND"].endswith(RedisCache.__name__)
    one, other = (RedisCache(cache["LOCATION"], {}) for _ in range(2))
    one.set("name", 1)
    assert other.get("name") == 1


async def test_a_message_reaches_the_channel_layer_of_another_process(redis_server):
    config = settings.channel_layers(redis_server.url())["default"]["CONFIG"]
    here, there = RedisChannelLayer(**config), RedisChannelLayer(**config)
    channel = await there.new_channel()
    await there.group_add("group", channel)
    await here.group_send("group", {"type": "word", "n": 1})
    async with asyncio.timeout(5):
        assert await there.receive(channel) == {"type": "word", "n": 1}
    await here.flush()
    for layer in (here, there):
        await layer.close_pools()


def test_the_layers_client_waits_longer_than_the_layer(redis_server):
    config = settings.channel_layers(redis_server.url())["default"]["CONFIG"]
    layer = RedisChannelLayer(**config)
    connection = layer.create_pool(0).make_connection()
    assert connection.socket_timeout > layer.brpop_timeout + 5


async def test_a_channel_may_be_silent_for_longer_than_a_command_takes(redis_server):
    config = settings.channel_layers(redis_server.url())["default"]["CONFIG"]
    layer = RedisChannelLayer(**config)
    channel = await layer.new_channel()
    waiting = asyncio.ensure_future(layer.receive(channel))
    # what the client waits for by itself, and the layer too
    done, _ = await asyncio.wait([waiting], timeout=layer.brpop_timeout + 1.5)
    assert not done
    await layer.send(channel, {"type": "word"})
    async with asyncio.timeout(5):
        assert await waiting == {"type": "word"}
    await layer.flush()
    await layer.close_pools()


def test_without_a_url_both_are_in_memory():
    assert "locmem" in settings.caches("")["default"]["BACKEND"]
    assert "InMemory" in settings.channel_layers("")["default"]["BACKEND"]


def test_postgresql_has_a_pool_unless_it_is_set_to_none():
    assert settings.postgresql_options(5)["pool"]["max_size"] == 5
    assert "pool" not in settings.postgresql_options(0)
