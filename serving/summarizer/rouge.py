"""ROUGE-L over token ids: how much of a summary is another's, in order."""

from __future__ import annotations

from collections.abc import Sequence


def rouge_l(found: Sequence[int], wanted: Sequence[int]) -> float:
    """F1 of the longest common subsequence; 1 for equal ones, also for two empty ones."""
    if not found or not wanted:
        return float(list(found) == list(wanted))
    row = [0] * (len(wanted) + 1)
    for token in found:
        before = 0
        for place, other in enumerate(wanted):
            before, row[place + 1] = row[place + 1], before + 1 if token == other else max(row[place], row[place + 1])
    return 2 * row[-1] / (len(found) + len(wanted))
