"""Every expression of the source takes time in proportion to its text: found by looking, not by a list."""

import importlib
import pkgutil
import time

import pytest

import gateway
from gateway.config.presets.presets import presets
from gateway.conversion.errors.refusals import compile_all
from gateway.patterns import REGISTRY, any_of, compiled, in_order, match_at, wildcard
from gateway.patterns.attacks import recipes_against

SECONDS = 2.0
SIZE = 1_000_000
# characters that tell the attacks on one expression apart
SHORT = 1_000
SLICES = 6


def every_pattern():
    for module in pkgutil.walk_packages(gateway.__path__, "gateway."):
        if "migrations" not in module.name:
            importlib.import_module(module.name)
    presets()
    compile_all()
    return list(REGISTRY.items())


def seconds(pattern, only_at_a_place, recipe, size):
    text = recipe.text(size)
    data = text.encode("latin-1", "replace") if isinstance(pattern.pattern, bytes) else text
    began = time.thread_time()
    if not only_at_a_place:
        for _ in pattern.finditer(data):
            pass
    pattern.match(data)
    pattern.fullmatch(data)
    return time.thread_time() - began


def slowest(pattern, only_at_a_place):
    """Seconds for SIZE characters of the worst attack; a short text of each tells which that is."""
    recipes = recipes_against(pattern)
    if not recipes:
        return 0.0
    worst = max(recipes, key=lambda recipe: seconds(pattern, only_at_a_place, recipe, SHORT))
    # what grows with the square takes far longer for so many characters already
    estimate = seconds(pattern, only_at_a_place, worst, SIZE // 50) * 50
    return estimate if estimate < SECONDS / 4 else seconds(pattern, only_at_a_place, worst, SIZE)


@pytest.mark.once
@pytest.mark.parametrize("part", range(SLICES))
def test_every_expression_reads_1_mb_of_its_own_beginnings_in_time(part):
    found = every_pattern()
    assert len(found) > 500
    slow = {}
    for pattern, only_at_a_place in found[part::SLICES]:
        took = slowest(pattern, only_at_a_place)
        if took > SECONDS:
            slow[pattern.pattern] = took
    assert not slow


@pytest.mark.parametrize(
    "regex",
    [
        r"sk-(?=[A-Za-z0-9_-]*[0-9])[A-Za-z0-9_-]{20,}",
        r"eyJ[A-Za-z0-9_-]{8,}\.eyJ",
        r"model.*not found",
        r"\s*x",
    ],
)
def test_an_expression_that_goes_back_is_found_out(regex):
    pattern = compiled(regex)
    del REGISTRY[pattern]
    worst = max(recipes_against(pattern), key=lambda recipe: seconds(pattern, False, recipe, 2_000))
    # the text is eight times as long: linear time would be eight times as much
    short, long = (seconds(pattern, False, worst, size) for size in (1_000, 8_000))
    assert long > 24 * short


def test_parts_in_order_are_found_where_the_plain_expression_finds_them():
    pattern = in_order(r"limit is (?P<limit>\d+)", r"got (?P<got>\d+)")
    del REGISTRY[pattern]
    found = pattern.search("the limit is 5, the limit is 6;\nyou got 7 and got 8")
    assert found.groupdict() == {"limit": "5", "got": "7"}
    assert pattern.search("got 7, the limit is 5") is None


def test_what_is_matched_at_a_place_cannot_be_searched_for():
    at = match_at(r"\s*+x")
    assert at("  x") and at("y x", 1) and not at("y x")
    assert not hasattr(at, "search")


def test_texts_of_somebody_are_taken_literally():
    assert any_of(["a+", "a+b", ".*"]).search("x a+b").group() == "a+b"
    assert wildcard("claude-*.5").fullmatch("Claude-x.5") and not wildcard("a.b*").fullmatch("axb")


@pytest.mark.parametrize(
    "reads",
    [
        wildcard("*a" * 30 + "*b").fullmatch,
        wildcard("a*" * 30 + "b").fullmatch,
        any_of("a" * number + "b" for number in range(1, 40)).search,
    ],
    ids=["a star first", "a star last", "any of many with one beginning"],
)
def test_what_is_made_of_an_admins_words_reads_them_repeated_in_time(reads):
    began = time.thread_time()
    for text in ("a" * 20_000, "ab" * 10_000, "aab" * 7_000):
        reads(text)
    assert time.thread_time() - began < SECONDS
