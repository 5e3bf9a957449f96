"""Prometheus metrics of one process, in a registry of their own; every series carries the stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
LATENCY_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
PHASE_S = (0.0001, 0.00025, 0.0005, *LATENCY_S, 30.0)
TOKENS = (8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16_384, 32_768)
PADDING = (0.0, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75)

Phase = Literal["tokenize", "queue", "run", "serialize"]
Found = Literal["hit", "joined", "new"]


@dataclass(frozen=True, slots=True)
class Standing:
    """What waits at the moment of a scrape. rate: tokens per second, doubt: what estimates are multiplied by."""

    interactive_tokens: int = 0
    bulk_tokens: int = 0
    running_tokens: int = 0
    oldest_s: float = 0.0
    rate: float = 0.0
    doubt: float = 1.0
    cache_bytes: int = 0
    held_bytes: int = 0


@dataclass(frozen=True, slots=True)
class SummaryStanding:
    """Texts that wait and that are in the making, and the measured seconds of one worker that a text takes."""

    waiting: int
    making: int
    text_s: float


Kind = TypeVar("Kind", Counter, Gauge, Histogram)


class Series(Generic[Kind]):
    """A metric's series of one stage, each kept once it was asked for: a query asks for ten, and looking one up costs
    more than counting in it."""

    def __init__(self, metric: Kind, stage: str) -> None:
        self._metric: Kind = metric
        self._stage = stage
        self._known: dict[tuple[str, ...], Kind] = {}

    def __call__(self, *labels: str) -> Kind:
        """The one with these labels."""
        found = self._known.get(labels)
        if found is None:
            found = self._known[labels] = self._metric.labels(self._stage, *labels)
        return found

    def remove(self, *labels: str) -> None:
        """Of the exposition too."""
        del self._known[labels]
        self._metric.remove(self._stage, *labels)


class Metrics:
    """What the service counts. Names are part of the contract with dashboards and checks."""

    def __init__(self, stage: str) -> None:
        self._registry = CollectorRegistry()
        self._stage = stage
        ProcessCollector(registry=self._registry)
        self._made_requests()
        self._made_batches()
        self._made_gauges()
        self._made_summaries()
        self._served: dict[str, tuple[str, ...]] = {}  # by role: labels of serving_info
        self._ready().set(0)

    def _made_requests(self) -> None:
        self._requests = self._counter("serving_requests", "Answers by path and code", "path", "code")
        self._seconds = self._histogram(
            "serving_request_seconds", "From the request's head to the answer's", LATENCY_S, "path"
        )
        self._rejects = self._counter("serving_rejects", "Requests refused or abandoned, by reason", "reason")
        self._tokens = self._counter("serving_tokens", "Tokens of texts that were answered, padding not counted")
        self._truncated = self._counter("serving_truncated", "Texts cut at the model's limit")
        self._cache = self._counter("serving_cache", "Texts by how their vector was found", "found")
        self._phases = self._histogram(
            "serving_phase_seconds",
            "tokenize and serialize: of a request; queue: of a text; run: of a batch",
            PHASE_S,
            "phase",
        )

    def _made_batches(self) -> None:
        self._batches = self._counter("serving_batches", "Batches run")
        self._batch_tokens = self._counter(
            "serving_batch_tokens", "Tokens run: real ones, and those of padding", "kind"
        )
        self._batch_size = self._histogram("serving_batch_size_tokens", "Tokens of a batch, padding counted", TOKENS)
        self._padding = self._histogram("serving_padding_ratio", "Padding as a part of a batch's tokens", PADDING)

    def _made_gauges(self) -> None:
        self._waiting = self._gauge("serving_queue_tokens", "Tokens that wait", "class")
        self._running = self._gauge("serving_running_tokens", "Tokens on the workers")
        self._oldest = self._gauge("serving_queue_age_seconds", "How long the oldest text has waited")
        self._rate = self._gauge("serving_tokens_per_second", "Measured over the last batches; admission uses it")
        self._doubt = self._gauge("serving_estimate_doubt", "What admission multiplies its estimates by")
        self._cache_bytes = self._gauge("serving_cache_bytes", "Bytes of vectors that are kept")
        self._held = self._gauge("serving_held_bytes", "Bytes of requests that are being read or answered")
        self._ready = self._gauge("serving_ready", "1 when readyz says yes")
        self._info = self._gauge(
            "serving_info", "What serves, always 1", "model", "version", "precision", "provider", "degraded"
        )
        self._swaps = self._counter(
            "serving_swap", "Other versions found while one served, or refused at the start", "model", "result"
        )

    def _made_summaries(self) -> None:
        self._summaries = self._counter("serving_summaries", "Texts that were summarized")
        self._summary_tokens = self._counter("serving_summary_tokens", "Tokens read, and those written", "kind")
        self._summary_truncated = self._counter("serving_summary_truncated", "Texts cut at the model's limit")
        self._summary_phases = self._histogram(
            "serving_summary_phase_seconds", "queue, make: of a text; step: of a worker's turn", PHASE_S, "phase"
        )
        self._summary_steps = self._counter("serving_summary_steps", "Turns of the workers, one token each text")
        self._summary_batch = self._counter("serving_summary_step_texts", "Texts in the batches of these turns")
        self._summary_waiting = self._gauge("serving_summary_queue_texts", "Texts that wait")
        self._summary_making = self._gauge("serving_summary_running_texts", "Texts in the making")
        self._summary_text_s = self._gauge(
            "serving_summary_seconds_per_text", "Of one worker, measured of late; admission uses it"
        )

    def answered(self, path: str, code: int, seconds: float) -> None:
        """One answer left."""
        self._requests(path, str(code)).inc()
        self._seconds(path).observe(seconds)

    def refused(self, reason: str) -> None:
        """One request was not served. `reason`: the last part of its problem's type."""
        self._rejects(reason).inc()

    def embedded(self, tokens: int, truncated: int) -> None:
        """One request's texts were answered."""
        self._tokens().inc(tokens)
        self._truncated().inc(truncated)

    def found(self, how: Found, texts: int = 1) -> None:
        """So many texts of a request were known, on their way, or new."""
        self._cache(how).inc(texts)

    def took(self, phase: Phase, *seconds: float) -> None:
        """How long a phase lasted."""
        series = self._phases(phase)
        for one in seconds:
            series.observe(one)

    def batch(self, real: int, padded: int, seconds: float, waited_s: Sequence[float]) -> None:
        """One batch ran. `padded`: real tokens and those of padding."""
        self._batches().inc()
        self._batch_tokens("real").inc(real)
        self._batch_tokens("padding").inc(padded - real)
        self._batch_size().observe(padded)
        self._padding().observe(1.0 - real / padded)
        self.took("run", seconds)
        self.took("queue", *waited_s)

    def stands(self, now: Standing) -> None:
        """What waits."""
        self._waiting("interactive").set(now.interactive_tokens)
        self._waiting("bulk").set(now.bulk_tokens)
        self._running().set(now.running_tokens)
        self._oldest().set(now.oldest_s)
        self._rate().set(now.rate)
        self._doubt().set(now.doubt)
        self._cache_bytes().set(now.cache_bytes)
        self._held().set(now.held_bytes)

    def ready(self, is_ready: bool) -> None:
        """What readyz answers from now on."""
        self._ready().set(is_ready)

    def serves(self, role: str, *, model: str, version: str, precision: str, provider: str, degraded: bool) -> None:
        """A model serves, in place of the one that had this role."""
        if role in self._served:
            self._info.remove(*self._served[role])
        self._served[role] = (model, version, precision, provider, str(degraded).lower())
        self._info(*self._served[role]).set(1)

    def swap(self, role: str, result: str) -> None:
        """Another version was found: it serves now, or was refused."""
        self._swaps(role, result).inc()

    def stepped(self, texts: int, seconds: float, done_s: Sequence[tuple[float, float]]) -> None:
        """A turn of a summary worker. done_s: how long the texts that it finished waited and took."""
        self._summary_steps().inc()
        self._summary_batch().inc(texts)
        self._summary_phases("step").observe(seconds)
        for queue_s, make_s in done_s:
            self._summary_phases("queue").observe(queue_s)
            self._summary_phases("make").observe(make_s)
        self._summaries().inc(len(done_s))

    def summarized(self, read: int, written: int, truncated: int) -> None:
        """One request's texts were answered."""
        self._summary_tokens("read").inc(read)
        self._summary_tokens("written").inc(written)
        self._summary_truncated().inc(truncated)

    def summaries_stand(self, now: SummaryStanding) -> None:
        """What waits for a summary."""
        self._summary_waiting().set(now.waiting)
        self._summary_making().set(now.making)
        self._summary_text_s().set(now.text_s)

    def text(self) -> bytes:
        """The exposition."""
        return generate_latest(self._registry)

    def _counter(self, name: str, about: str, *labels: str) -> Series[Counter]:
        return Series(Counter(name, about, ["stage", *labels], registry=self._registry), self._stage)

    def _gauge(self, name: str, about: str, *labels: str) -> Series[Gauge]:
        return Series(Gauge(name, about, ["stage", *labels], registry=self._registry), self._stage)

    def _histogram(self, name: str, about: str, buckets: tuple[float, ...], *labels: str) -> Series[Histogram]:
        metric = Histogram(name, about, ["stage", *labels], buckets=buckets, registry=self._registry)
        return Series(metric, self._stage)
