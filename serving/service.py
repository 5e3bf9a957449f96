"""The service behind the routes: what serves, whether new traffic should come, how it ends. Knows no HTTP."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from enum import StrEnum

from serving import model as models
from serving.admission import REQUEST_BYTES, Memory
from serving.backlog import Claim
from serving.cache import Cache
from serving.config import Config
from serving.described import Described
from serving.embedder import Answer, Embedder
from serving.errors import Draining
from serving.metrics import Metrics, Standing
from serving.proof import Load, Proven, load_and_prove
from serving.seat import LOADING, Seat
from serving.source import EMBEDDER, SUMMARIZER, Found, Source, Sources, folders
from serving.summaries import desk, proof
from serving.summaries import model as summary_models

SUMMARIZE = "/summarize"  # answers there come from the other model

log = logging.getLogger("serving")

EmbedderSeat = Seat[Proven, Embedder]
SummarizerSeat = Seat[proof.SummaryProven, desk.Summaries]


class Phase(StrEnum):
    """Where the process stands; only SERVING is ready."""

    LOADING = "loading"
    SERVING = "serving"
    FAILED = "failed"
    DRAINING = "draining"  # not ready, but who still comes is answered while the cluster takes the address out
    STOPPING = "stopping"  # nothing new is taken


class Service:
    """One or two models, their workers and the phase of the process; all state changes on the event loop."""

    def __init__(
        self,
        config: Config,
        metrics: Metrics,
        load: Load = models.load,
        *,
        sources: Sources | None = None,
        load_summarizer: summary_models.SummaryLoad = summary_models.load,
    ) -> None:
        """`sources`: of the models; by default the folders that the settings name."""
        self.config, self.metrics = config, metrics
        self.phase, self.reason = Phase.LOADING, LOADING
        sources = sources or folders(config)
        self._load, self._load_summarizer = load, load_summarizer
        self._cache = Cache(config.cache_mib << 20)
        self.embedder: EmbedderSeat = Seat(
            EMBEDDER, sources.embedder, self._proven, self._open, changed=self._changed, counted=metrics.swap
        )
        self.summarizer = self._summarizer(sources.summarizer) if sources.summarizer is not None else None
        most_bytes = max(config.max_held_mib << 20, config.max_body_bytes + REQUEST_BYTES)
        self.memory = Memory(most_bytes, lambda: _busy_s(self.embedder))
        # Of its own: summaries are waited for for seconds, and must not take the room of embeddings.
        self.summary_memory = Memory(most_bytes, lambda: _busy_s(self.summarizer))
        self._looking: list[asyncio.Task[None]] = []

    @property
    def seats(self) -> Sequence[EmbedderSeat | SummarizerSeat]:
        """Of all models that are to serve."""
        return [self.embedder] if self.summarizer is None else [self.embedder, self.summarizer]

    def start(self) -> None:
        """Load in threads, so that livez answers from the first moment; then look for other versions."""
        self._looking = [asyncio.create_task(seat.keep(self.config.poll_s)) for seat in self.seats]

    @property
    def is_ready(self) -> bool:
        """Whether new traffic should come here."""
        return self.phase is Phase.SERVING

    @property
    def has_started(self) -> bool:
        """Whether loading has ended, well or not: a restart would not mend what failed."""
        return self.phase is not Phase.LOADING

    @property
    def degraded(self) -> bool | None:
        """Whether any model is on a CPU although the stage requires something else; None while none serves."""
        found = [seat.proven.model.degraded for seat in self.seats if seat.proven is not None]
        return any(found) if found else None

    def require(self) -> Embedder:
        """What embeds now. Raises NotReady or Draining."""
        self.require_running()
        return self.embedder.require()

    def require_running(self) -> None:
        """Raises Draining."""
        if self.phase is Phase.STOPPING:
            raise Draining(self.reason)

    async def embed(self, texts: Sequence[str], claim: Claim) -> Answer:
        """Vectors in the order of the texts. Raises Refused, or what the runtime raised."""
        self.require_running()
        with self.embedder.use() as embedder:
            return await embedder.embed(texts, claim)

    def exposition(self) -> bytes:
        """The metrics, with what waits at this moment."""
        held = self.memory.held + self.summary_memory.held
        embedder = self.embedder.desk
        self.metrics.stands(embedder.standing(held) if embedder else Standing(held_bytes=held))
        if self.summarizer is not None and self.summarizer.desk is not None:
            self.metrics.summaries_stand(self.summarizer.desk.standing())
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
        for task in self._looking:
            task.cancel()
        await asyncio.gather(*(seat.close(deadline_s) for seat in self.seats))

    def _changed(self) -> None:
        """A seat has another model, or the reason why it has none. A failure stays visible at readyz: a restart would
        not mend it, another version may."""
        if self.phase not in (Phase.LOADING, Phase.FAILED):
            return
        empty = [seat for seat in self.seats if seat.proven is None]
        if not empty:
            self.phase, self.reason = Phase.SERVING, ""
            self.metrics.ready(True)
            return
        failed = [seat for seat in empty if seat.has_failed]
        self.phase = Phase.FAILED if len(failed) == len(empty) else Phase.LOADING
        self.reason = (failed or empty)[0].reason

    def _summarizer(self, source: Source) -> SummarizerSeat:
        prepare, open_ = self._proven_summarizer, self._open_summarizer
        return Seat(SUMMARIZER, source, prepare, open_, changed=self._changed, counted=self.metrics.swap)

    def _proven(self, found: Found) -> Proven:
        return load_and_prove(self.config.model_copy(update={"model_dir": found.folder}), self._load)

    def _proven_summarizer(self, found: Found) -> proof.SummaryProven:
        return proof.load_and_prove(self.config, found.folder, self._load_summarizer)

    def _open(self, proven: Proven) -> Embedder:
        rate = self.config.workers * proven.speed.tokens / proven.speed.seconds
        self._tell(EMBEDDER, proven.model, f"{rate:.0f} tokens/s")
        # Warmed up beside a model at work it looked slower than it is: at first it is as fast as that one was.
        before = self.embedder.desk
        speed = before.faster(proven.speed) if before else proven.speed
        return Embedder(proven.model, self.config, self.metrics, self._cache, speed)

    def _open_summarizer(self, proven: proof.SummaryProven) -> desk.Summaries:
        self._tell(SUMMARIZER, proven.model, f"{proven.seed.seconds:.2f} s a text at most")
        before = self.summarizer.desk if self.summarizer else None
        seed = proven.seed.or_faster(before.seen()) if before else proven.seed
        return desk.Summaries(proven.model, self.config, self.metrics, seed)

    def _tell(self, role: str, model: Described, speed: str) -> None:
        about = model.manifest
        self.metrics.serves(
            role,
            model=about.name,
            version=about.version,
            precision=about.precision,
            provider=model.provider,
            degraded=model.degraded,
        )
        told = (self.config.stage, role, about.name, about.version, about.precision, model.provider, speed)
        log.info("%s: %s %s %s %s on %s, %s%s", *told, " (degraded)" if model.degraded else "")


def _busy_s(seat: EmbedderSeat | SummarizerSeat | None) -> float:
    """Until what waits there would be done."""
    return seat.desk.busy_s() if seat is not None and seat.desk is not None else 1.0
