"""The service behind the routes: load, prove, serve, drain. Knows no HTTP."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from serving import model as models
from serving.config import Config
from serving.golden import GATE, cosine
from serving.errors import GoldenMismatch, ServingError
from serving.metrics import Metrics
from serving.scheduler import Scheduler

BUCKETS = (4, 8, 16, 32, 64, 128, 256, 512)      # lengths warmed: the first run of a length plans its memory
SHORT_CHARS = 1024                               # below this tokenizing costs less than changing threads
JOIN_S = 30.0

log = logging.getLogger("serving")
Load = Callable[[Config], models.Model]


class Phase(StrEnum):
    """Where the process stands; only SERVING is ready."""

    LOADING = "loading"
    SERVING = "serving"
    FAILED = "failed"
    DRAINING = "draining"


@dataclass(frozen=True, slots=True)
class Answer:
    """Vectors of one request and what they cost."""

    vectors: list[npt.NDArray[np.float32]]
    tokens: int
    truncated: int


class Service:
    """One model, its scheduler and its phase. Phases change on the event loop and in the loading thread only."""

    def __init__(self, config: Config, metrics: Metrics, load: Load = models.load) -> None:
        self.config = config
        self.metrics = metrics
        self.phase = Phase.LOADING
        self.reason = "the model is being loaded"
        self.model: models.Model | None = None
        self.golden_cosine_min: float | None = None
        self._load = load
        self._scheduler: Scheduler | None = None

    def start(self) -> None:
        """Load in a thread of its own, so that livez answers from the first moment."""
        threading.Thread(target=self.load, name="load", daemon=True).start()

    def load(self) -> None:
        """Load, warm, prove. A failure stays visible at readyz: a restart would not mend it."""
        try:
            model = self._load(self.config)
            warm(model)
            self.golden_cosine_min = prove(model)
        except ServingError as error:
            self.phase, self.reason = Phase.FAILED, f"{type(error).__name__}: {error}"
            log.error("%s", self.reason)
            return
        about = model.manifest
        self.metrics.serves(model=about.name, version=about.version, precision=about.precision,
                            provider=model.provider, degraded=model.degraded)
        self._scheduler = Scheduler(model.run, model.batch_tokens(self.config), self.config.max_queue_tokens,
                                    self.metrics.batch)
        self._scheduler.start(self.config.workers)
        self.model = model
        if self.phase is Phase.LOADING:          # a SIGTERM may have come meanwhile
            self.phase, self.reason = Phase.SERVING, ""
            self.metrics.ready(True)
        log.info("%s: %s %s %s on %s%s", self.config.stage, about.name, about.version, about.precision, model.provider,
                 " (degraded)" if model.degraded else "")

    @property
    def is_ready(self) -> bool:
        """Whether new traffic should come here."""
        return self.phase is Phase.SERVING

    async def embed(self, texts: Sequence[str]) -> Answer | None:
        """None while no model is loaded. Raises QueueFull, Closed, or what the runtime raised."""
        if self.model is None or self._scheduler is None:
            return None
        if sum(map(len, texts)) <= SHORT_CHARS:
            encoded = self.model.tokenize(texts)
        else:
            encoded = await asyncio.to_thread(self.model.tokenize, texts)
        tokens, cut = sum(len(ids) for ids, _ in encoded), sum(was_cut for _, was_cut in encoded)
        vectors = await self._scheduler.submit([ids for ids, _ in encoded])
        self.metrics.embedded(tokens, cut)
        return Answer(vectors, tokens, cut)

    def drain(self) -> None:
        """Not ready from now on; requests that still come are answered."""
        self.phase, self.reason = Phase.DRAINING, "the process was told to stop"
        self.metrics.ready(False)

    def close(self) -> None:
        """Finish what is queued and stop the workers."""
        if self._scheduler is not None:
            self._scheduler.close(JOIN_S)


def warm(model: models.Model) -> None:
    """One run a length bucket, so that no request pays for it."""
    for length in BUCKETS:
        if length <= model.manifest.max_tokens:
            model.run([[0] * length])


def prove(model: models.Model) -> float:
    """The worst cosine to the recorded vectors, each text alone. Raises GoldenMismatch below the gate."""
    worst = 1.0
    for entry in model.golden.texts:
        ids, _ = model.tokenize([entry.text])[0]
        near = cosine(model.run([ids])[0], entry.vector)
        if not near >= GATE:              # also when it is not a number
            raise GoldenMismatch(f"cosine {near:.6f} < {GATE} to the recorded vector of {entry.text[:40]!r}")
        worst = min(worst, near)
    return worst
