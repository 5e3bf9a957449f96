"""What the encoder gave for the texts of a batch: cross-attention keys and values, padded to the longest text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Cross:
    """Per decoder layer `keys` [texts, heads, size, tokens] and `values` [texts, heads, tokens, size]; real tokens of
    every text."""

    keys: tuple[Array, ...]
    values: tuple[Array, ...]
    lengths: tuple[int, ...]

    def mask(self) -> npt.NDArray[np.int64]:
        """1 where a token is, [texts, tokens]."""
        places = np.arange(max(self.lengths))
        return (places < np.asarray(self.lengths)[:, None]).astype(np.int64)


def gathered(parts: list[Cross], rows: Sequence[int] | None = None) -> Cross:
    """These of all parts' texts in this order, or all of them, counted through the parts.

    Empties `parts`, one layer after the other: what four long texts need is never there twice."""
    places = [(part, row) for part, each in enumerate(parts) for row in range(len(each.lengths))]
    chosen = places if rows is None else [places[row] for row in rows]
    lengths = tuple(parts[part].lengths[row] for part, row in chosen)
    if len(parts) == 1 and chosen == places:
        return parts.pop()
    keys, values = (
        [list(each) for each in side] for side in zip(*((one.keys, one.values) for one in parts), strict=True)
    )
    layers = range(len(parts[0].keys))
    parts.clear()
    picks = [(part, row, length) for (part, row), length in zip(chosen, lengths, strict=True)]
    return Cross(
        tuple(_padded([each.pop(0) for each in keys], picks, axis=3) for _ in layers),
        tuple(_padded([each.pop(0) for each in values], picks, axis=2) for _ in layers),
        lengths,
    )


def _padded(arrays: Sequence[Array], picks: Sequence[tuple[int, int, int]], axis: int) -> Array:
    """picks: of every text its array, its row there, and its tokens."""
    dims = list(arrays[0].shape)
    dims[0], dims[axis] = len(picks), max(length for _, _, length in picks)
    out = np.zeros(dims, np.float32)
    for place, (part, row, length) in enumerate(picks):
        own = (slice(None),) * (axis - 1) + (slice(0, length),)
        out[(place, *own)] = arrays[part][(row, *own)]
    return out
