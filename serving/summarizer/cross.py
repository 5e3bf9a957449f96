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

    def take(self, rows: Sequence[int]) -> Cross:
        """These texts only, in this order."""
        lengths = tuple(self.lengths[row] for row in rows)
        longest = max(lengths)
        return Cross(
            tuple(key[list(rows), :, :, :longest] for key in self.keys),
            tuple(value[list(rows), :, :longest] for value in self.values),
            lengths,
        )


def joined(parts: Sequence[Cross]) -> Cross:
    """All texts of all parts, in order."""
    if len(parts) == 1:
        return parts[0]
    lengths = tuple(length for part in parts for length in part.lengths)
    longest = max(lengths)
    return Cross(
        tuple(_padded(arrays, longest, axis=3) for arrays in zip(*(part.keys for part in parts), strict=True)),
        tuple(_padded(arrays, longest, axis=2) for arrays in zip(*(part.values for part in parts), strict=True)),
        lengths,
    )


def _padded(arrays: Sequence[Array], tokens: int, axis: int) -> Array:
    dims = list(arrays[0].shape)
    dims[0], dims[axis] = sum(len(array) for array in arrays), tokens
    out = np.zeros(dims, np.float32)
    row = 0
    for array in arrays:
        out[(slice(row, row + len(array)), *(slice(0, size) for size in array.shape[1:]))] = array
        row += len(array)
    return out
