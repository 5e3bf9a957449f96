"""The seam between the service and what computes: token ids in, unit vectors out.

An engine pads, rounds and copies as it needs; nobody else knows how. Two rules bind all of them: a vector does not
depend on the texts it shares a batch with, and `run` may be called from several threads at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

Ids = Sequence[int]
Vectors = npt.NDArray[np.float32]


class Engine(Protocol):
    """One loaded graph."""

    @property
    def provider(self) -> str:
        """What really runs it, as answers and readyz name it."""
        ...

    @property
    def batch_tokens(self) -> int:
        """Tokens a batch at which it runs best; those of padding count as `padding` says."""
        ...

    @property
    def padding(self) -> float:
        """What a token of padding costs it, as a part of a real one."""
        ...

    def run(self, batch: Sequence[Ids], /) -> Vectors:
        """Unit vectors of a batch: (texts, dimensions). Raises what its runtime raises."""
        ...
