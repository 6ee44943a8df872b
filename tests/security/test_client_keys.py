import hashlib
import re

from gateway.security import client_keys


def test_a_new_key_is_the_prefix_and_43_letters_and_digits():
    assert re.fullmatch(r"ccp_[A-Za-z0-9]{43}", client_keys.new_key())


def test_no_two_keys_are_alike():
    assert len({client_keys.new_key() for _ in range(100)}) == 100


def test_the_digest_is_the_hex_sha256():
    assert client_keys.digest("ccp_x") == hashlib.sha256(b"ccp_x").hexdigest()


def test_a_key_with_half_a_surrogate_pair_has_a_digest_too():
    assert len(client_keys.digest("\ud800")) == 64


def test_a_key_is_shown_by_its_first_eight_and_last_four_characters():
    key = "ccp_abcd" + "x" * 35 + "wxyz"
    assert client_keys.shown(key) == "ccp_abcd…wxyz"


def test_a_short_key_chosen_by_hand_shows_nothing_of_itself():
    assert client_keys.shown("secret") == "…"


def test_a_long_key_of_another_make_shows_only_its_end():
    assert client_keys.shown("my-own-long-secret-1234") == "…1234"
