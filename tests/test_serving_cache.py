from __future__ import annotations

import numpy as np

from serving.cache import ENTRY_BYTES, Cache, Keys, Known

NUMBERS = 8
SIZE = 4 * NUMBERS + ENTRY_BYTES


def known(number: int) -> Known:
    return Known(np.full(NUMBERS, number, np.float32), number, False)


def test_a_text_is_named_by_all_that_decides_its_vector() -> None:
    keys = [
        Keys(*model).of(text) for model in (("m", "1", "fp32"), ("m", "2", "fp32"), ("m", "1", "int8")) for text in "ab"
    ]
    assert len(set(keys)) == 6
    assert Keys("m", "1").of("2a") != Keys("m", "12").of("a")
    assert Keys("m", "1").of("a") == Keys("m", "1").of("a")


def test_the_one_not_asked_for_longest_goes_first() -> None:
    cache = Cache(2 * SIZE)
    cache.put(b"1", known(1))
    cache.put(b"2", known(2))
    assert cache.get(b"1") is not None
    cache.put(b"3", known(3))
    assert [cache.get(key) is not None for key in (b"1", b"2", b"3")] == [True, False, True]


def test_the_bound_is_in_bytes() -> None:
    cache = Cache(10 * SIZE)
    for number in range(1000):
        cache.put(str(number % 37).encode(), known(number))
        assert cache.size <= 10 * SIZE
    assert cache.size == 10 * SIZE


def test_a_text_that_is_put_again_counts_once() -> None:
    cache = Cache(10 * SIZE)
    for number in range(3):
        cache.put(b"1", known(number))
    assert cache.size == SIZE
    found = cache.get(b"1")
    assert found is not None and found.tokens == 2


def test_a_cache_of_nothing_keeps_nothing() -> None:
    cache = Cache(0)
    cache.put(b"1", known(1))
    assert cache.get(b"1") is None
    assert cache.size == 0
