"""The service behind the routes: load, prove, serve, drain. Knows no HTTP."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum

from serving import model as models
from serving.admission import REQUEST_BYTES, Memory
from serving.backlog import Claim
from serving.cache import Cache
from serving.config import Config
from serving.embedder import Answer, Embedder, Speed
from serving.errors import Draining, GoldenMismatch, NotReady, ServingError
from serving.golden import GATE, cosine
from serving.metrics import Metrics, Standing

BUCKETS = (4, 8, 16, 32, 64, 128, 256, 512)  # lengths warmed: the first run of a length plans its memory
SPEED_LENGTH = 64  # of the texts that the speed is measured with

log = logging.getLogger("serving")
Load = Callable[[Config], models.Model]


class Phase(StrEnum):
    """Where the process stands; only SERVING is ready."""

    LOADING = "loading"
    SERVING = "serving"
    FAILED = "failed"
    DRAINING = "draining"  # not ready, but who still comes is answered while the cluster takes the address out
    STOPPING = "stopping"  # nothing new is taken


@dataclass(frozen=True, slots=True)
class Proven:
    """A model that is loaded, warmed and agrees with its recorded vectors. loaded_at: Unix time, seconds."""

    model: models.Model
    golden_cosine_min: float
    speed: Speed
    loaded_at: int


class Service:
    """One model, its workers and its phase; all state changes on the event loop."""

    def __init__(self, config: Config, metrics: Metrics, load: Load = models.load) -> None:
        self.config = config
        self.metrics = metrics
        self.phase = Phase.LOADING
        self.reason = "the model is being loaded"
        self.proven: Proven | None = None
        self.memory = Memory(max(config.max_held_mib << 20, config.max_body_bytes + REQUEST_BYTES), self._busy_s)
        self._load = load
        self._cache = Cache(config.cache_mib << 20)
        self._embedder: Embedder | None = None
        self._loading: asyncio.Task[Proven] | None = None

    def start(self) -> None:
        """Load in a thread, so that livez answers from the first moment."""
        self._loading = asyncio.create_task(asyncio.to_thread(load_and_prove, self.config, self._load))
        self._loading.add_done_callback(self._loaded)

    @property
    def is_ready(self) -> bool:
        """Whether new traffic should come here."""
        return self.phase is Phase.SERVING

    @property
    def has_started(self) -> bool:
        """Whether loading has ended, well or not: a restart would not mend what failed."""
        return self.phase is not Phase.LOADING

    def require(self) -> Embedder:
        """What embeds now. Raises NotReady or Draining."""
        if self.phase is Phase.STOPPING:
            raise Draining(self.reason)
        if self._embedder is None:
            raise NotReady(self.reason)
        return self._embedder

    async def embed(self, texts: Sequence[str], claim: Claim) -> Answer:
        """Vectors in the order of the texts. Raises Refused, or what the runtime raised."""
        return await self.require().embed(texts, claim)

    def exposition(self) -> bytes:
        """The metrics, with what waits at this moment."""
        held = self.memory.held
        self.metrics.stands(self._embedder.standing(held) if self._embedder else Standing(held_bytes=held))
        return self.metrics.text()

    def drain(self) -> None:
        """Not ready from now on; requests that still come are answered."""
        if self.phase is Phase.STOPPING:
            return
        self.phase, self.reason = Phase.DRAINING, "the process was told to stop"
        self.metrics.ready(False)

    def stop(self) -> None:
        """Requests that still come are refused; what was taken is finished."""
        self.drain()
        self.phase = Phase.STOPPING

    async def close(self, deadline_s: float = 10.0) -> None:
        """Stop the workers; by now every request has been answered or has run out of time."""
        self.stop()
        if self._embedder is not None:
            self._embedder.close()
            await asyncio.to_thread(self._embedder.wait, deadline_s)

    def _busy_s(self) -> float:
        return self._embedder.busy_s() if self._embedder else 1.0

    def _loaded(self, loading: asyncio.Task[Proven]) -> None:
        """A failure stays visible at readyz, whatever it is: a restart would not mend it."""
        if loading.cancelled():
            return
        error = loading.exception()
        if error is None:
            self._open(loading.result())
            return
        reason = f"{type(error).__name__}: {error}"
        log.error("%s", reason, exc_info=None if isinstance(error, ServingError) else error)
        if self.phase is Phase.LOADING:
            self.phase, self.reason = Phase.FAILED, reason

    def _open(self, proven: Proven) -> None:
        if self.phase is Phase.STOPPING:
            return
        model, about = proven.model, proven.model.manifest
        self._embedder = Embedder(model, self.config, self.metrics, self._cache, proven.speed)
        self.proven = proven
        self.metrics.serves(
            model=about.name,
            version=about.version,
            precision=about.precision,
            provider=model.provider,
            degraded=model.degraded,
        )
        told = (self.config.stage, about.name, about.version, about.precision, model.provider)
        rate = self.config.workers * proven.speed.tokens / proven.speed.seconds
        log.info("%s: %s %s %s on %s, %.0f tokens/s%s", *told, rate, " (degraded)" if model.degraded else "")
        if self.phase is Phase.LOADING:  # a SIGTERM may have come meanwhile
            self.phase, self.reason = Phase.SERVING, ""
            self.metrics.ready(True)


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
