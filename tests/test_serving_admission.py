from __future__ import annotations

import math
import random

import pytest

from serving.admission import FADE_S, MOST_DOUBT, REQUEST_BYTES, Admission, Guess, Memory, Rate
from serving.backlog import SHARE, Lane, Waiting
from serving.errors import QueueFull

QUICK, BULK = Lane.INTERACTIVE, Lane.BULK
TARGETS_S = {QUICK: 2.0, BULK: 10.0}
FOREVER = float("inf")


def rate(tokens_per_s: int = 1000, workers: int = 1) -> Rate:
    return Rate(workers, tokens_per_s, 1.0)


def admission(of: Rate | None = None, most_tokens: int = 10**9) -> Admission:
    return Admission(of or rate(), TARGETS_S, most_tokens)


def refusal(asked: Admission, lane: Lane, waiting: Waiting, tokens: int, left_s: float = FOREVER) -> QueueFull | None:
    try:
        asked.admit(lane, waiting, tokens, left_s)
    except QueueFull as error:
        return error
    return None


def test_the_rate_is_the_seed_until_something_was_run() -> None:
    assert rate(1000, workers=2).all() == 2000


def test_the_rate_follows_what_is_measured_weighted_by_time() -> None:
    measured = rate(1000)
    measured.ran(QUICK, 100, 1.0, False)
    assert 100 < measured.all() < 1000
    for _ in range(int(5 * FADE_S)):
        measured.ran(QUICK, 100, 1.0, False)
    assert measured.all() == pytest.approx(100, rel=0.02)


def test_a_short_batch_weighs_little() -> None:
    measured = rate(1000)
    measured.ran(QUICK, 1, 0.001, False)
    assert measured.all() == pytest.approx(1000, rel=0.01)


def test_a_request_that_would_be_done_in_time_is_taken() -> None:
    assert refusal(admission(), QUICK, Waiting(1500, 0), 500) is None
    assert refusal(admission(), QUICK, Waiting(1500, 0), 501) is not None


def test_what_runs_counts_too() -> None:
    assert refusal(admission(), QUICK, Waiting(1500, 0, running=400), 200) is not None


@pytest.mark.parametrize("lane", Lane)
@pytest.mark.parametrize("queued", [2100, 5000, 12_345, 98_765])
def test_after_the_told_seconds_the_same_request_is_taken_and_not_long_before(lane: Lane, queued: int) -> None:
    asked = admission()

    def after(seconds: float) -> QueueFull | None:
        left = max(0, round(queued - seconds * 1000))
        return refusal(asked, lane, Waiting(left, 0) if lane is QUICK else Waiting(0, left), 100)

    told = after(0)
    if told is None:
        assert (queued + 100) / 1000 <= TARGETS_S[lane]
        return
    assert after(told.retry_after_s) is None
    assert told.retry_after_s == 1 or after(told.retry_after_s - 1) is not None


def test_a_request_of_more_than_the_target_is_taken_when_nothing_of_its_class_waits() -> None:
    asked = admission()
    assert refusal(asked, QUICK, Waiting(0, 500), 50_000) is None
    told = refusal(asked, QUICK, Waiting(3000, 0), 50_000)
    assert told is not None
    assert told.retry_after_s == 3


def test_a_request_that_could_not_be_done_before_its_own_deadline_is_refused_at_once() -> None:
    assert refusal(admission(), QUICK, Waiting(1000, 0), 100, left_s=1.2) is None
    told = refusal(admission(), QUICK, Waiting(1000, 0), 100, left_s=0.5)
    assert told is not None
    assert told.retry_after_s == 1


def test_time_that_is_used_up_counts() -> None:
    admission().admit(QUICK, Waiting(1000, 0), 100, FOREVER, used_s=0.8)
    with pytest.raises(QueueFull):
        admission().admit(QUICK, Waiting(1000, 0), 100, FOREVER, used_s=1.0)


def test_bulk_that_waits_does_not_shut_interactive_requests_out() -> None:
    full = Waiting(0, 100_000)
    assert refusal(admission(), BULK, full, 10) is not None
    assert refusal(admission(), QUICK, full, 10) is None
    assert refusal(admission(), QUICK, Waiting(1400, 100_000), 10) is None
    assert refusal(admission(), QUICK, Waiting(1600, 100_000), 10) is not None  # bulk may take a quarter


def test_bulk_stands_behind_what_is_interactive() -> None:
    assert refusal(admission(), BULK, Waiting(5000, 4000), 100) is None
    assert refusal(admission(), BULK, Waiting(6000, 4000), 100) is not None


def test_bulk_is_judged_by_the_share_it_was_seen_to_get() -> None:
    busy = rate()
    for _ in range(200):
        busy.ran(QUICK, 100, 0.1, True)
    asked = admission(busy)
    assert asked.estimate_s(BULK, Waiting(0, 5000)) == pytest.approx(5 * SHARE, rel=0.1)
    for _ in range(300):
        busy.ran(BULK, 100, 0.1, False)
    assert asked.estimate_s(BULK, Waiting(0, 5000)) == pytest.approx(5, rel=0.1)


def test_the_bound_in_tokens_holds_however_fast_they_go() -> None:
    asked = admission(rate(10**6), most_tokens=1000)
    assert refusal(asked, QUICK, Waiting(500, 400), 100) is None
    told = refusal(asked, QUICK, Waiting(500, 400), 101)
    assert told is not None
    assert "900" not in str(told) and "500 interactive tokens wait" in str(told)


def test_estimates_that_were_missed_are_doubted_until_they_hold_again() -> None:
    asked = admission()
    line = Waiting(1500, 0)
    assert refusal(asked, QUICK, line, 0) is None
    for _ in range(50):
        asked.took(QUICK, 2.0, 4.0)
    assert asked.doubt == pytest.approx(2.0, rel=1e-3)  # no more than was seen
    told = refusal(asked, QUICK, line, 0)
    assert told is not None
    assert "done in 3.0 s" in str(told)
    assert refusal(asked, QUICK, Waiting(1000, 0), 0) is None
    for _ in range(2000):
        asked.took(QUICK, 2.0, 2.0)
    assert asked.doubt == 1.0


def test_one_estimate_in_a_hundred_may_be_missed() -> None:
    asked, rng, late = admission(), random.Random(3), 0
    for number in range(40_000):
        took_s = 2.0 * rng.lognormvariate(0.0, 0.2)
        late += number > 5000 and took_s > 2.0 * asked.doubt
        asked.took(QUICK, 2.0, took_s)
    assert 0.005 < late / 35_000 < 0.02


def test_a_small_estimate_and_a_wild_one_teach_little() -> None:
    asked = admission()
    asked.took(QUICK, 0.01, 1.0)
    assert asked.doubt == 1.0
    for _ in range(1000):
        asked.took(QUICK, 2.0, 1000.0)
    assert asked.doubt == MOST_DOUBT


def test_tokens_are_guessed_from_texts_read_before_and_never_much_too_high() -> None:
    guess = Guess(64)
    assert guess.of(["a" * 8]) == 0
    for _ in range(500):
        guess.was(["a" * 40, "a" * 4000], [10, 64])
    assert guess.of(["a" * 40] * 10) == pytest.approx(80, abs=1)
    assert guess.of(["a" * 4000]) == 64


def test_memory_is_bounded_and_given_back() -> None:
    memory = Memory(3 * REQUEST_BYTES, lambda: 2.4)
    with memory.request() as grow, memory.request():
        grow(REQUEST_BYTES)
        with pytest.raises(QueueFull) as told, memory.request():
            pytest.fail("there was no room")
        assert told.value.retry_after_s == math.ceil(2.4)
        with pytest.raises(QueueFull):
            grow(1)
    assert memory.held == 0
