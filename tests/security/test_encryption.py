import base64
import os

import pytest

from gateway.security import encryption
from gateway.security.encryption import UnreadableSecret, UnusableKey


def fernet_key() -> str:
    return base64.urlsafe_b64encode(os.urandom(32)).decode()


OLD, NEW = fernet_key(), fernet_key()


def test_what_is_encrypted_can_be_read_again():
    assert encryption.decrypt(encryption.encrypt("sk-ü", [OLD]), [OLD]) == "sk-ü"


def test_the_ciphertext_does_not_hold_the_text():
    assert "sk-secret" not in encryption.encrypt("sk-secret", [OLD])


def test_an_older_key_of_the_list_still_opens_what_it_closed():
    assert encryption.decrypt(encryption.encrypt("x", [OLD]), [NEW, OLD]) == "x"


def test_the_first_key_of_the_list_encrypts():
    assert encryption.decrypt(encryption.encrypt("x", [NEW, OLD]), [NEW]) == "x"


def test_without_the_right_key_the_sentence_says_what_to_do():
    with pytest.raises(UnreadableSecret, match="enter the secret again"):
        encryption.decrypt(encryption.encrypt("x", [OLD]), [NEW])


def test_damaged_text_is_unreadable_and_not_a_crash():
    with pytest.raises(UnreadableSecret):
        encryption.decrypt("not a token é", [OLD])


def test_an_empty_list_says_how_to_make_a_key():
    with pytest.raises(UnusableKey, match=r"FIELD_ENCRYPTION_KEYS is empty.*python -c"):
        encryption.encrypt("x", [])


def test_a_key_of_another_form_is_named_by_its_place_and_not_shown():
    with pytest.raises(UnusableKey, match=r"Key 2 .*python -c") as caught:
        encryption.encrypt("x", [OLD, "correct-horse"])
    assert "correct-horse" not in str(caught.value)


def test_the_printed_command_makes_a_usable_key():
    scope: dict[str, object] = {}
    program = encryption.HOW_TO_MAKE_A_KEY.removeprefix('python -c "').removesuffix('"')
    exec(program.replace("print(", "key = (", 1), scope)
    assert encryption.decrypt(encryption.encrypt("x", [scope["key"]]), [scope["key"]]) == "x"
