"""Passwords that have leaked, or are made like those that have, are refused."""

import pytest
from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from hypothesis import given, settings
from hypothesis import strategies as st

LEAKED = ["password1234", "Password12345!", "qwertyuiop12", "administrator1", "iloveyou1234", "P@ssw0rd2024"]
MADE = ["ccproxyccproxy", "q1w2e3r4t5y6", "123456789012", "aaaaaaaaaaaa", "abcdefghijkl", "letmein12345"]
GOOD = ["tangerine-volcano-87", "correct horse battery staple", "x9$Kq2!vLmPz", "数据库里有一只猫在睡觉呢!"]


@pytest.mark.parametrize("password", [*LEAKED, *MADE, "short-1"])
def test_what_is_guessed_soon_is_refused(password):
    with pytest.raises(ValidationError):
        validate_password(password)


@pytest.mark.parametrize("password", GOOD)
def test_what_nobody_guesses_is_taken(password):
    validate_password(password)


def test_the_name_of_the_user_is_no_password():
    with pytest.raises(ValidationError):
        validate_password("margaret-hamilton1", User(username="margaret-hamilton"))


@settings(max_examples=15)
@given(st.text(min_size=12, max_size=500))
def test_any_text_is_judged(password):
    try:
        validate_password(password)
    except ValidationError as problem:
        assert problem.messages
