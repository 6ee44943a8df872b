import random

import pytest


@pytest.fixture
def words():
    return random.Random(7)
