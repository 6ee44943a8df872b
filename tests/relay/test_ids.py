"""Identifiers in the API's form."""

import re

from gateway.relay.ids import new_id


def test_an_id_is_its_prefix_and_24_characters_of_base62():
    assert re.fullmatch(r"msg_[0-9A-Za-z]{24}", new_id("msg_"))


def test_ids_do_not_repeat():
    assert len({new_id("") for _ in range(10_000)}) == 10_000
