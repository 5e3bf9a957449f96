"""Which key and value belongs to whom: the lines of descent of the beams, as slots of the decoder's cache.

A line is an int64 array [beams, fed]: for every token a beam was fed, first to last, the slot where its key lies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

MASKED = np.float32(-10000.0)  # as the graph's

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Plan:
    """What the decoder graph is to keep, and what every beam sees of it; shapes as the graph's inputs.

    `lines` are the texts' lines in the slots that come out: the kept ones first, then one per beam.
    """

    keep: Ints
    lineage: npt.NDArray[np.float32]
    lines: list[Ints]

    @property
    def kept(self) -> int:
        """Slots kept per text; the first new one has this number."""
        return int(self.keep.shape[1])


def plan(lines: Sequence[Ints]) -> Plan:
    """Keep what any beam descends from, once. A text with less than the others is filled up with what nobody sees."""
    alive = [np.unique(line) for line in lines]
    kept = max(1, *map(len, alive))
    beams = lines[0].shape[0]
    keep = np.zeros((len(lines), kept), np.int64)
    lineage = np.full((len(lines), beams, kept + beams), MASKED)
    lineage[:, np.arange(beams), kept + np.arange(beams)] = 0.0
    renamed = []
    for text, (line, slots) in enumerate(zip(lines, alive, strict=True)):
        keep[text, : len(slots)] = slots
        renamed.append(np.searchsorted(slots, line))
        np.put_along_axis(lineage[text], renamed[-1], 0.0, axis=1)
    return Plan(keep, lineage, renamed)


def start(beams: int) -> Ints:
    """The line of beams that were fed nothing yet."""
    return np.zeros((beams, 0), np.int64)


def descend(line: Ints, parents: Ints, kept: int) -> Ints:
    """The line after a step: beam b now continues what beam parents[b] was fed."""
    return np.concatenate([line[parents], (kept + parents)[:, None]], axis=1)
