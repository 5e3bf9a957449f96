"""What a drill makes of answers under too much load, and whom it kills."""

from __future__ import annotations

import math

from verify.drills import stage_pod, strain
from verify.drills.strain import Told


def test_each_number_has_a_wrapping_of_blanks_alone() -> None:
    wrappings = {strain.blanks(number) for number in range(5000)}
    assert len(wrappings) == 5000
    assert {text.strip() for text in wrappings} == {""}


def test_a_refusal_says_when_to_come_back() -> None:
    told = [Told(429, 0, 0, 1, said) for said in ("1", "30", "0", "soon", "", "-1")]
    assert [one.retry_after for one in strain.unclear([*told, Told(200, 0, 0, 1)])] == ["0", "soon", "", "-1"]


def test_nothing_accepted_is_not_right() -> None:
    assert strain.worst([Told(429, 0, 0, 1)]) == 0.0
    assert strain.worst([Told(200, 0, 0, 1, likeness=0.5), Told(200, 0, 0, 1), Told(429, 0, 0, 1, likeness=0.1)]) == 0.5


def test_back_is_what_answers_after_the_first_failure() -> None:
    still, missed, later = Told(200, 10.1, 0.1, 1), Told(0, 10.2, 0.1, 1, error="ReadError"), Told(200, 13.0, 0.5, 1)
    assert math.isclose(strain.back_s([still, missed, later], 10.0), 3.5)


def test_what_was_never_missed_was_not_killed() -> None:
    assert strain.back_s([Told(200, 10.1, 0.1, 1)], 10.0) == math.inf
    assert strain.back_s([Told(0, 10.2, 0.1, 1)], 10.0) == math.inf


def test_only_the_stages_own_process_is_named() -> None:
    script = stage_pod.KILL.format(pod="serving-testing-1", stage="testing")
    assert "HOSTNAME=serving-testing-1" in script
    assert "STAGE=testing" in script
    assert "${at%/environ}" in script
