"""How long something did not answer."""

from __future__ import annotations

import pytest

from verify.drills.watch import longest_s


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        ([], 0),
        ([(1, True), (2, True)], 0),
        ([(1, True), (2, False), (5, True), (6, False), (8, True)], 4),
        ([(1, False), (3, True)], 3),
        ([(1, True), (2, False), (9, False)], 8),
    ],
)
def test_a_silence_lasts_from_answer_to_answer(asked: list[tuple[float, bool]], seconds: float) -> None:
    assert longest_s(asked) == seconds
