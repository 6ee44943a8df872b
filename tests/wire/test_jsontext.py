"""JSON texts that are kept take no more memory than they need."""

import tracemalloc

import pytest

from gateway.wire import jsontext


@pytest.mark.parametrize("length", [10, 900, 3_000, 137_000])
def test_a_text_that_is_kept_takes_its_own_length_in_memory(length):
    value = {"text": "x" * length}
    assert jsontext.dumps_to_keep(value) == jsontext.dumps(value)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        kept = [jsontext.dumps_to_keep(value) for _ in range(20)]
        held = (tracemalloc.get_traced_memory()[0] - before) / len(kept)
    finally:
        tracemalloc.stop()
    assert held < length + 300
