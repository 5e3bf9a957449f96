"""The service behind the routes: load, prove, serve, drain. Knows no HTTP."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from serving import model as models
from serving.config import Config
from serving.errors import GoldenMismatch, ServingError
from serving.golden import GATE, cosine
from serving.metrics import Metrics
from serving.scheduler import Scheduler, Vector

BUCKETS = (4, 8, 16, 32, 64, 128, 256, 512)  # lengths warmed: the first run of a length plans its memory
SHORT_CHARS = 1024  # below this tokenizing costs less than changing threads

log = logging.getLogger("serving")
Load = Callable[[Config], models.Model]


class Phase(StrEnum):
    """Where the process stands; only SERVING is ready."""

    LOADING = "loading"
    SERVING = "serving"
    FAILED = "failed"
    DRAINING = "draining"


@dataclass(frozen=True, slots=True)
class Proven:
    """A model that is loaded, warmed and agrees with its recorded vectors."""

    model: models.Model
    golden_cosine_min: float


@dataclass(frozen=True, slots=True)
class Answer:
    """Vectors of one request, what they cost, and the model that gave them."""

    vectors: list[Vector]
    tokens: int
    truncated: int
    model: models.Model


class Service:
    """One model, its scheduler and its phase; all state changes on the event loop."""

    def __init__(self, config: Config, metrics: Metrics, load: Load = models.load) -> None:
        self.config = config
        self.metrics = metrics
        self.phase = Phase.LOADING
        self.reason = "the model is being loaded"
        self.proven: Proven | None = None
        self._load = load
        self._scheduler: Scheduler | None = None
        self._loading: asyncio.Task[Proven] | None = None

    def start(self) -> None:
        """Load in a thread, so that livez answers from the first moment."""
        self._loading = asyncio.create_task(asyncio.to_thread(load_and_prove, self.config, self._load))
        self._loading.add_done_callback(self._loaded)

    @property
    def is_ready(self) -> bool:
        """Whether new traffic should come here."""
        return self.phase is Phase.SERVING

    async def embed(self, texts: Sequence[str]) -> Answer | None:
        """None while no model is loaded. Raises QueueFull, Closed, or what the runtime raised."""
        if self.proven is None or self._scheduler is None:
            return None
        model = self.proven.model
        if sum(map(len, texts)) <= SHORT_CHARS:
            encoded = model.tokenize(texts)
        else:
            encoded = await asyncio.to_thread(model.tokenize, texts)
        vectors = await self._scheduler.submit([ids for ids, _ in encoded])
        answer = Answer(vectors, sum(len(ids) for ids, _ in encoded), sum(was_cut for _, was_cut in encoded), model)
        self.metrics.embedded(answer.tokens, answer.truncated)
        return answer

    def drain(self) -> None:
        """Not ready from now on; requests that still come are answered."""
        self.phase, self.reason = Phase.DRAINING, "the process was told to stop"
        self.metrics.ready(False)

    def close(self) -> None:
        """Stop the workers; by now every request has been answered or has run out of time."""
        if self._scheduler is not None:
            self._scheduler.close()

    def _loaded(self, loading: asyncio.Task[Proven]) -> None:
        """A failure stays visible at readyz, whatever it is: a restart would not mend it."""
        if loading.cancelled():
            return
        error = loading.exception()
        if error is not None:
            self.phase, self.reason = Phase.FAILED, f"{type(error).__name__}: {error}"
            log.error("%s", self.reason, exc_info=None if isinstance(error, ServingError) else error)
            return
        self._open(loading.result())

    def _open(self, proven: Proven) -> None:
        model, config = proven.model, self.config
        self._scheduler = Scheduler(
            model.run,
            budget=model.batch_tokens(config),
            limit=config.max_queue_tokens,
            workers=config.workers,
            seen=self.metrics.batch,
        )
        self.proven = proven
        about = model.manifest
        self.metrics.serves(
            model=about.name,
            version=about.version,
            precision=about.precision,
            provider=model.provider,
            degraded=model.degraded,
        )
        log.info(
            "%s: %s %s %s on %s%s",
            config.stage,
            about.name,
            about.version,
            about.precision,
            model.provider,
            " (degraded)" if model.degraded else "",
        )
        if self.phase is Phase.LOADING:  # a SIGTERM may have come meanwhile
            self.phase, self.reason = Phase.SERVING, ""
            self.metrics.ready(True)


def load_and_prove(config: Config, load: Load) -> Proven:
    """Raises what loading raised, or GoldenMismatch."""
    model = load(config)
    warm(model)
    return Proven(model, prove(model))


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
        if not near >= GATE:  # also when it is not a number
            raise GoldenMismatch(f"cosine {near:.6f} < {GATE} to the recorded vector of {entry.text[:40]!r}")
        worst = min(worst, near)
    return worst
