"""Values are a frozen dataclass's but for the guard, which the type checker keeps."""

import dataclasses
from dataclasses import dataclass, field

import pytest

from gateway.values import frozen


@frozen
class Ours:
    """Of the two the one without a guard."""

    name: str
    texts: tuple[str, ...] = ()
    more: dict[str, int] = field(default_factory=dict, repr=False)

    @property
    def length(self):
        return len(self.texts)


@dataclass(frozen=True, slots=True)
class Usual:
    name: str
    texts: tuple[str, ...] = ()


def test_equal_values_are_equal_and_have_one_hash():
    assert Ours("a", ("b",)) == Ours("a", ("b",)) != Ours("a")
    simple = frozen(type("Simple", (), {"__annotations__": {"name": str}}))
    assert hash(simple("a")) == hash(simple("a"))


def test_they_can_be_copied_with_a_change_and_look_the_same():
    changed = dataclasses.replace(Ours("a"), texts=("b", "c"))
    assert (changed.length, changed.more) == (2, {})
    assert repr(changed) == repr(Usual("a", ("b", "c"))).replace("Usual", "Ours")


def test_they_have_no_field_that_was_not_declared():
    with pytest.raises(AttributeError):
        Ours("a").other = 1
