"""Whether summaries would be done in time, and when the same request would be taken, without threads or a clock."""

from __future__ import annotations

import pytest

from serving.errors import QueueFull
from serving.summaries.pace import Pace, Seed, admit
from serving.summaries.pool import Load


def settled(workers: int = 1, *, together: int = 1, steps: int = 10, step_s: float = 0.1) -> Pace:
    """After many texts that needed so many steps, decoded so many at once."""
    pace = Pace(workers, Seed(50, 500.0, 500.0))
    for _ in range(200):
        for _ in range(steps):
            pace.ran(together, step_s)
        for _ in range(together):
            pace.ended(steps, steps * step_s)
    return pace


def test_at_first_the_warm_up_is_believed() -> None:
    pace = Pace(1, Seed(20, 5.0, 5.0))
    assert (pace.text_s, pace.making_s, pace.steps) == (5.0, 5.0, 20.0)


def test_then_what_was_measured() -> None:
    pace = settled()
    assert pace.text_s == pytest.approx(1.0)
    assert pace.making_s == pytest.approx(1.0)


def test_texts_that_share_a_step_cost_a_part_of_it_but_take_as_long() -> None:
    pace = settled(together=4)
    assert pace.text_s == pytest.approx(0.25)
    assert pace.making_s == pytest.approx(1.0)


def test_workers_share_what_waits() -> None:
    assert settled(2).ahead_s(Load(8)) == pytest.approx(settled(1).ahead_s(Load(4)))


def test_what_is_nearly_done_counts_little() -> None:
    pace = settled()
    assert pace.ahead_s(Load(0, (9,))) == pytest.approx(0.1)
    assert pace.ahead_s(Load(0, (0, 5))) == pytest.approx(1.5)
    assert pace.ahead_s(Load(0, (50,))) == pytest.approx(0.1)  # longer than any before: nobody knows how much


def test_a_text_that_was_given_up_leaves_the_pace_as_it_is() -> None:
    pace = settled()
    for _ in range(1000):
        pace.ran(1, 0.1)
    assert pace.text_s == pytest.approx(1.0)


def test_a_stage_that_becomes_slow_is_seen_before_a_text_is_done() -> None:
    pace = settled()
    for _ in range(30):
        pace.ran(1, 1.0)
    assert pace.text_s > 2.0


def test_who_would_be_late_is_refused_and_told_when_he_would_not_be() -> None:
    pace = settled()
    assert pace.estimate_s(Load(6), 1) == pytest.approx(7.0)
    admit(pace, Load(6), 1, within_s=7.1, most=99)
    with pytest.raises(QueueFull, match=r"6 texts wait; these summaries would be done in 7\.0 s") as refused:
        admit(pace, Load(6), 1, within_s=4.9, most=99)
    assert refused.value.retry_after_s == 3
    admit(pace, Load(6 - refused.value.retry_after_s), 1, within_s=4.9, most=99)  # that many seconds later


def test_the_time_told_is_never_longer_than_until_nothing_waits() -> None:
    with pytest.raises(QueueFull) as refused:
        admit(settled(step_s=0.099), Load(2), 30, within_s=1.0, most=99)
    assert refused.value.retry_after_s == 2


def test_when_nothing_waits_even_a_slow_request_is_taken() -> None:
    admit(settled(), Load(0, (1, 1, 1)), 16, within_s=0.1, most=99)
    admit(settled(), Load(0), 16, within_s=0.1, most=8)


def test_what_may_wait_is_bounded_however_fast_it_goes() -> None:
    pace = settled(step_s=0.001)
    admit(pace, Load(90), 9, within_s=60, most=99)
    with pytest.raises(QueueFull):
        admit(pace, Load(90), 10, within_s=60, most=99)


def test_the_next_model_begins_as_fast_as_the_one_before_was() -> None:
    slow, seen = Seed(40, 30.0, 30.0), settled(together=4).seen()
    assert slow.or_faster(seen) == seen
    assert seen.or_faster(slow) == seen
    after = Pace(1, slow.or_faster(seen))
    assert (after.text_s, after.making_s, after.steps) == pytest.approx((0.25, 1.0, 10.0))
