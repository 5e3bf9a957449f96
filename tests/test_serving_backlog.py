from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from serving.backlog import PATIENCE_S, SHARE, WINDOW, Backlog, Claim, Job, Lane, Place, pick

FOREVER = float("inf")


def claim(lane: Lane = Lane.INTERACTIVE, deadline_s: float = FOREVER) -> Claim:
    return Claim(lane, deadline_s)


def job(tokens: int, lane: Lane = Lane.INTERACTIVE, deadline_s: float = FOREVER) -> Job:
    return Job(b"", [1] * tokens, False, lane, [claim(lane, deadline_s)])


def backlog(*jobs: Job, budget: int = 64, now_s: float = 0.0) -> Backlog:
    made = Backlog(budget)
    for one in jobs:
        made.push(one, now_s)
    return made


def drained(waiting: Backlog, now_s: float = 0.0) -> list[list[Job]]:
    batches = []
    while batch := waiting.take(now_s):
        batches.append(batch)
    return batches


def test_the_oldest_text_is_always_in_the_batch() -> None:
    assert pick([500, 3, 4], 256) == [0]


def test_the_nearest_lengths_fill_the_batch_up_to_the_budget() -> None:
    assert sorted(pick([10, 60, 11, 9, 40], 256)) == [0, 2, 3]
    assert sorted(pick([60, 58, 58, 58, 58, 200], 256)) == [0, 1, 2, 3]


def test_a_text_that_would_mostly_be_padding_waits_for_its_like() -> None:
    assert pick([100, 5, 5, 5], 256) == [0]
    assert pick([5, 5, 5, 100], 256) == [0, 1, 2]
    assert pick([20, *[12] * 7], 256) == [0]


def test_where_padding_costs_little_unlike_lengths_share_a_batch() -> None:
    lengths = [20, *[12] * 7, 60]
    assert sorted(pick(lengths, 256, padding=1 / 8)) == list(range(8))
    assert pick([8] * 50, 256, padding=1 / 8) == list(range(32))


def test_what_padding_costs_counts_against_the_budget() -> None:
    rng = random.Random(2)
    for _ in range(100):
        lengths = [rng.randint(1, 60) for _ in range(60)]
        chosen = [lengths[i] for i in pick(lengths, 256, padding=1 / 8)]
        padded = len(chosen) * max(chosen) - sum(chosen)
        assert len(chosen) == 1 or sum(chosen) + padded / 8 <= 256


def test_of_equal_texts_the_oldest_go_and_what_a_batch_costs_by_itself_is_shared() -> None:
    assert pick([8] * 50, 256) == list(range(32))
    assert sorted(pick([10, 11, 9, 10, 11], 256)) == [0, 1, 2, 3, 4]


def test_little_is_padding_while_many_wait() -> None:
    rng = random.Random(3)
    real = padded = 0
    for _ in range(100):
        lengths = [rng.choice((5, 6, 8, 9, 11, 12, 14, 20)) for _ in range(30)]
        chosen = [lengths[i] for i in pick(lengths, 256)]
        real, padded = real + sum(chosen), padded + len(chosen) * max(chosen)
    assert real / padded > 0.92


def test_padded_tokens_never_exceed_the_budget_unless_one_text_does() -> None:
    rng = random.Random(1)
    for _ in range(200):
        lengths = [rng.randint(1, 512) for _ in range(rng.randint(1, 200))]
        chosen = pick(lengths, 256)
        assert 0 in chosen
        assert len(set(chosen)) == len(chosen)
        assert max(chosen) < WINDOW
        assert len(chosen) == 1 or len(chosen) * max(lengths[i] for i in chosen) <= 256


def test_idle_workers_share_what_waits() -> None:
    waiting = backlog(*(job(4) for _ in range(5)))
    assert [len(waiting.take(0.0, idle)) for idle in (3, 2, 1)] == [2, 2, 1]


@pytest.mark.parametrize("seed", range(20))
def test_a_text_is_passed_over_at_most_as_often_as_texts_stood_before_it(seed: int) -> None:
    rng = random.Random(seed)
    waiting, before, passed = Backlog(64), dict[Job, int](), dict[Job, int]()
    for _ in range(400):
        for _ in range(rng.choice((0, 1, 3))):
            one = job(rng.randint(1, 100))
            before[one], passed[one] = len(passed), 0
            waiting.push(one, 0.0)
        for taken in waiting.take(0.0):
            del passed[taken]
        for one in passed:
            passed[one] += 1
            assert passed[one] <= before[one]
    assert len(before) > 300


def test_interactive_goes_first() -> None:
    bulk, quick = job(4, Lane.BULK), job(4)
    assert drained(backlog(bulk, quick)) == [[quick], [bulk]]


def test_a_text_that_came_last_goes_before_a_large_request_that_has_not_been_started() -> None:
    waiting = backlog(*(job(32, Lane.BULK) for _ in range(256)))
    assert len(waiting.take(0.0)) == 2
    query = job(8)
    waiting.push(query, 0.0)
    assert waiting.take(0.0) == [query]


def served(now_s: float, arrive: int = 1, rounds: int = 300) -> dict[Lane, int]:
    """Tokens by class while both lines never run empty; the bulk texts have waited since 0."""
    waiting = backlog(*(job(16, Lane.BULK) for _ in range(rounds)))
    tokens = dict.fromkeys(Lane, 0)
    for _ in range(rounds):
        for _ in range(arrive):
            waiting.push(job(16), now_s)
        for one in waiting.take(now_s):
            tokens[one.lane] += len(one.ids)
    return tokens


def test_bulk_waits_while_interactive_texts_keep_coming() -> None:
    assert served(PATIENCE_S * 0.9)[Lane.BULK] == 0


def test_bulk_that_has_waited_gets_its_share_and_no_more() -> None:
    tokens = served(PATIENCE_S, arrive=4)
    share = tokens[Lane.BULK] / sum(tokens.values())
    assert share == pytest.approx(1 / SHARE, rel=0.05)


def test_a_share_is_not_saved_up_for_texts_that_come_later() -> None:
    long = job(60, Lane.BULK)
    waiting = backlog(*(job(64) for _ in range(3)), job(64), long)
    for _ in range(2):
        waiting.take(PATIENCE_S)
    long.claims[0].is_over = True
    waiting.release(long, PATIENCE_S)
    drained(waiting, PATIENCE_S)
    waiting.push(job(16, Lane.BULK), 0.0)
    waiting.push(job(16), 0.0)
    assert [one.lane for one in waiting.take(PATIENCE_S)] == [Lane.INTERACTIVE]


def test_what_has_expired_is_never_taken() -> None:
    late, fine = job(4, deadline_s=1.0), job(4, deadline_s=1.5)
    waiting = backlog(late, fine)
    assert waiting.take(1.0) == [fine]
    assert (late.place, waiting.waiting().interactive) == (Place.GONE, 0)


def test_what_nobody_waits_for_leaves_at_once_and_its_tokens_with_it() -> None:
    gone, stays = job(4), job(5)
    waiting = backlog(gone, stays)
    gone.claims[0].is_over = True
    assert waiting.release(gone, 0.0)
    assert not waiting.release(stays, 0.0)
    assert waiting.waiting().interactive == 5
    assert drained(waiting) == [[stays]]


def test_a_text_stays_as_long_as_one_of_its_clients() -> None:
    shared = job(4)
    waiting = backlog(shared)
    assert waiting.join(shared, claim())
    shared.claims[0].is_over = True
    assert not waiting.release(shared, 0.0)
    shared.claims[1].is_over = True
    assert waiting.release(shared, 0.0)
    assert not waiting.join(shared, claim())


def test_an_interactive_request_takes_a_bulk_text_along() -> None:
    first, second = job(4, Lane.BULK), job(4, Lane.BULK)
    waiting = backlog(first, second)
    assert waiting.join(second, claim(Lane.BULK)) and second.lane is Lane.BULK
    assert waiting.join(second, claim(Lane.INTERACTIVE))
    assert (waiting.waiting().interactive, waiting.waiting().bulk) == (4, 4)
    assert drained(waiting) == [[second], [first]]


@pytest.mark.parametrize("seed", range(5))
def test_tokens_are_counted_right_whatever_happens(seed: int) -> None:
    rng = random.Random(seed)
    waiting, alive = Backlog(64), list[Job]()
    for now in range(300):
        alive.append(job(rng.randint(1, 90), rng.choice(list(Lane)), deadline_s=now + rng.randint(1, 20)))
        waiting.push(alive[-1], float(now))
        chosen = rng.choice(alive)
        match rng.randrange(4):
            case 0:
                waiting.take(float(now), rng.randint(1, 3))
            case 1:
                chosen.claims[0].is_over = True
                waiting.release(chosen, float(now))
            case 2:
                waiting.join(chosen, claim(rng.choice(list(Lane))))
        alive = [one for one in alive if one.place is Place.WAITING]
        assert total(alive, Lane.INTERACTIVE) == waiting.waiting().interactive
        assert total(alive, Lane.BULK) == waiting.waiting().bulk
    assert {one.place for one in waiting.clear()} <= {Place.GONE}
    assert (waiting.waiting().interactive, waiting.waiting().bulk, waiting.oldest_s(999.0)) == (0, 0, 0.0)


def test_the_age_of_the_oldest_text_is_told() -> None:
    waiting = backlog(job(4, Lane.BULK), now_s=1.0)
    waiting.push(job(4), 3.0)
    assert waiting.oldest_s(5.0) == 4.0


def total(jobs: Sequence[Job], lane: Lane) -> int:
    return sum(len(one.ids) for one in jobs if one.lane is lane)
