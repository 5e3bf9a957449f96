"""What an embedder has to do before it serves: load, run every length once, repeat its recorded vectors."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from serving import model as models
from serving.config import Config
from serving.embedder import Speed
from serving.errors import GoldenMismatch
from serving.golden import GATE, cosine

BUCKETS = (4, 8, 16, 32, 64, 128, 256, 512)  # lengths warmed: the first run of a length plans its memory
SPEED_LENGTH = 64  # of the texts that the speed is measured with

Load = Callable[[Config], models.Model]


@dataclass(frozen=True, slots=True)
class Proven:
    """A model that is loaded, warmed and agrees with its recorded vectors. loaded_at: Unix time, seconds."""

    model: models.Model
    proof: float  # the worst cosine to a recorded vector
    speed: Speed
    loaded_at: int


def load_and_prove(config: Config, load: Load) -> Proven:
    """Raises what loading raised, or GoldenMismatch."""
    model = load(config)
    speed = warm(model, model.batch_tokens(config), config.workers)
    return Proven(model, prove(model), speed, int(time.time()))


def warm(model: models.Model, batch_tokens: int, workers: int) -> Speed:
    """One run a length bucket, so that no request pays for it; then how fast full batches go side by side."""
    for length in BUCKETS:
        if length <= model.manifest.max_tokens:
            model.run([[0] * length])
    length = min(SPEED_LENGTH, model.manifest.max_tokens)
    batch = [[0] * length] * max(1, batch_tokens // length)
    with ThreadPoolExecutor(workers) as pool:
        for _ in range(2):  # the first run plans the memory of this shape
            began_s = time.perf_counter()
            list(pool.map(model.run, [batch] * workers))
            seconds = time.perf_counter() - began_s
    return Speed(length * len(batch), max(seconds, 1e-6))


def prove(model: models.Model) -> float:
    """The worst cosine to the recorded vectors, each text alone. Raises GoldenMismatch below the gate."""
    worst = 1.0
    for entry in model.golden.texts:
        ids, _ = model.tokenize([entry.text])[0]
        near = cosine(model.run([ids])[0], entry.vector)
        if not near >= GATE:  # also when it is not a number
            raise GoldenMismatch(f"cosine {near:.6f} < {GATE} to the recorded vector of {entry.text[:40]!r}")
        worst = min(worst, near)
    return worst
