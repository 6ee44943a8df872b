"""The one bounded memory, and that there is no other."""

import ast
import threading

from hypothesis import given
from hypothesis import strategies as st

from gateway.cache import GenerationalCache
from tests.test_architecture import named, trees


def held(cache):
    """What is kept, in the unit of its sizes."""
    return sum(map(cache._size_of, [*cache._young.values(), *cache._old.values()]))


words = st.text(alphabet="abcdef", min_size=1, max_size=2)
values = st.text(max_size=12)
operations = st.lists(st.tuples(st.sampled_from(["get", "put"]), words, values), max_size=80)


@given(st.integers(2, 40), operations)
def test_a_key_has_its_last_value_or_none_and_the_bound_holds(most, operations):
    cache, last = GenerationalCache(most, len), {}
    for operation, key, value in operations:
        if operation == "put":
            cache.put(key, value)
            last[key] = value
        else:
            assert cache.get(key) in (None, last.get(key))
        assert held(cache) <= most


@given(operations)
def test_what_fits_is_there_directly_after_it_was_put(operations):
    cache = GenerationalCache(24, len)
    for _, key, value in operations:
        cache.put(key, value)
        assert cache.get(key) == value


def test_without_sizes_entries_are_counted():
    cache = GenerationalCache(10)
    for number in range(100):
        cache.put(number, "value")
        assert len(cache) <= 10
    assert cache.get(99) == "value"


def test_what_is_asked_for_again_and_again_stays():
    cache = GenerationalCache(10)
    cache.put("kept", 0)
    for number in range(100):
        assert cache.get("kept") == 0
        cache.put(number, number)


def test_what_nobody_asks_for_is_forgotten():
    cache = GenerationalCache(10)
    cache.put("left", 0)
    for number in range(10):
        cache.put(number, number)
    assert cache.get("left") is None


def test_a_value_larger_than_half_is_not_kept_and_neither_is_what_it_replaces():
    cache = GenerationalCache(10, len)
    cache.put("key", "short")
    cache.put("key", "longer than half")
    assert cache.get("key") is None
    assert held(cache) == 0


def test_a_value_put_again_and_again_takes_its_room_once():
    cache = GenerationalCache(10, len)
    cache.put("other", "o")
    for _ in range(100):
        cache.put("key", "four")
    assert cache.get("other") == "o"


def test_clear_forgets_everything():
    cache = GenerationalCache(10)
    cache.put("a", 1)
    cache.clear()
    assert (cache.get("a"), len(cache)) == (None, 0)


def test_threads_never_get_the_value_of_another_key():
    cache, wrong = GenerationalCache(64), []

    def work(seed):
        for number in range(4000):
            key = (seed * number) % 97
            if cache.get(key) not in (None, f"value of {key}"):
                wrong.append(key)
            cache.put(key, f"value of {key}")

    threads = [threading.Thread(target=work, args=(seed,)) for seed in (3, 5, 7, 11)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(cache) <= 64


# what drops something because it holds much and is no memory of results
NO_CACHES = {
    "gateway/wire/request_cache.py:self._known": "lists are found by comparing each with the body, by no key",
    "gateway/consumers.py:self._unsent": "a queue",
    "gateway/history/live_tail.py:self._waiting": "a queue",
    "gateway/config/health_records.py:self._waiting": "a queue",
    "gateway/history/record/novelties.py:self._known": "the names that stand in a table, which has a bound",
    "gateway/conversion/answers/output.py:self._pieces": "pieces that are joined, none is lost",
}


def test_nothing_else_forgets_by_its_size():
    """Something that outlives a call and is emptied because of its length is a cache of its own."""
    found = {
        f"{named(path)}:{container}"
        for path, tree in trees().items()
        if named(path) != "gateway/cache.py"
        for node in ast.walk(tree)
        if isinstance(node, ast.If | ast.While)
        for container in measured_and_dropped(node)
        if "." in container or container in module_names(tree)
    }
    assert found == set(NO_CACHES)


def measured_and_dropped(node):
    lengths = [
        ast.unparse(call.args[0])
        for call in ast.walk(node.test)
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "len"
    ]
    return set(lengths) & {name for inner in node.body for part in ast.walk(inner) for name in dropped(part)}


def dropped(node):
    """The containers that a node takes something out of, or makes anew."""
    match node:
        case ast.Call(func=ast.Attribute(value=value, attr="clear" | "pop" | "popitem" | "popleft")):
            return {ast.unparse(value)}
        case ast.Delete(targets=targets):
            return {ast.unparse(one.value) for one in targets if isinstance(one, ast.Subscript)}
        case ast.Assign(targets=targets):
            return {ast.unparse(one) for target in targets for one in getattr(target, "elts", [target])}
    return set()


def module_names(tree):
    return {name for node in tree.body for name in names_of(node)}


def names_of(node):
    match node:
        case ast.Assign(targets=targets):
            return {ast.unparse(target) for target in targets}
        case ast.AnnAssign(target=target):
            return {ast.unparse(target)}
    return set()
