"""One stage measured for a promotion: what it serves, and the gates over golden outputs, latency, errors and memory."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from provision import forwarding
from provision.errors import CommandFailed
from provision.settings import ROOT
from provision.site import Site
from serving import gates, stages
from serving.gates import Memory, Verdict
from serving.recorded import Recorded

Budget = Callable[[str], float]
TEXT = "Graph neural networks learn representations of nodes from the edges between them."
ARTICLE = (
    "We study how a platform of two sites keeps its models current. A version passes four stages, and at each of them "
    "it is measured against the one before. We find that most faults show at the first stage, and the rest within a "
    "minute of real traffic at the third."
)
GOLDEN = ROOT / "serving" / "golden.json"  # the fp64 reference of the published model: nobody's own word
PERCENTS = (50, 95)


@dataclass(frozen=True, slots=True)
class Standing:
    """What a stage says of one model. version: '' while none serves. refused: a version it would not take, and why."""

    version: str = ""
    proof: float = float("nan")
    refused: str = ""
    why: str = ""


@dataclass(slots=True)
class Traffic:
    """Requests that were sent: what they took, and how many failed."""

    samples_ms: list[float] = field(default_factory=list)
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Live:
    """One stage behind one kept-open connection."""

    name: str
    client: httpx.Client = field(repr=False)

    def standing(self, model: str) -> Standing:
        """Raises CommandFailed when the stage gives no answer; any status is one."""
        try:
            told = self.client.get("/readyz").json()
        except (httpx.HTTPError, ValueError) as error:
            raise CommandFailed(f"stage {self.name} does not answer", why=f"{type(error).__name__}: {error}") from error
        row: Mapping[str, Any] = next((one for one in told.get("models", ()) if one["role"] == model), {})
        proof = row.get("proof")
        return Standing(
            row.get("version") or "",
            float("nan") if proof is None else float(proof),
            row.get("refused_version") or "",
            row.get("refused_reason") or row.get("source_trouble") or row.get("reason") or "",
        )

    def verdicts(
        self, model: str, tags: Mapping[str, str], recorded: Sequence[Recorded], budget: Budget
    ) -> list[Verdict]:
        """All gates of a model, on what the stage serves now. tags, recorded: of the version that it should serve."""
        before_mib, traffic = self._resident_mib(), Traffic()
        if model == "embedder":
            found = [self._golden(tags, budget), self._own(recorded, budget)]
            bounds = {percent: budget(f"onnx.latency_p{percent}_ms") for percent in PERCENTS}
            self._send(traffic, "/embed", TEXT, int(budget("onnx.warmup")), int(budget("onnx.n")))
        else:
            found = [gates.proof(self.standing(model).proof, budget("onnx.summary_nats_max"))]
            bounds = {percent: budget(f"onnx.summary_latency_p{percent}_ms") for percent in PERCENTS}
            self._send(traffic, "/summarize", ARTICLE, 1, int(budget("onnx.summary_n")))
        seen = Memory(before_mib, self._resident_mib())
        total = len(traffic.samples_ms) + traffic.failed
        return [
            *found,
            *(gates.latency(traffic.samples_ms, most, percent) for percent, most in bounds.items()),
            gates.errors(traffic.failed, total, budget("onnx.error_rate_max")),
            gates.memory(seen, budget("onnx.memory_max_mib"), budget("onnx.memory_growth_mib")),
        ]

    def _golden(self, tags: Mapping[str, str], budget: Budget) -> Verdict:
        reference = json.loads(GOLDEN.read_text())
        if reference["model"] != tags.get("tandem.name"):
            return Verdict(
                "golden", False, f"{GOLDEN.name} is of {reference['model']}, this is {tags.get('tandem.name')}"
            )
        vectors = self._vectors([row["text"] for row in reference["texts"]])
        precision = tags.get("tandem.precision", "")
        return gates.reference(vectors, [row["vector"] for row in reference["texts"]], precision, budget)

    def _own(self, recorded: Sequence[Recorded], budget: Budget) -> Verdict:
        vectors = self._vectors([row.text for row in recorded])
        return gates.own(vectors, [row.vector for row in recorded], budget("onnx.recorded_cosine_min"))

    def _vectors(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        answer = self._ask("/embed", texts)
        return answer["embeddings"] if answer else ()

    def _send(self, traffic: Traffic, path: str, text: str, warmup: int, count: int) -> None:
        """Texts differ, so that none is answered from memory; the first ones are not measured, but may fail."""
        for number in range(warmup + count):
            began = time.perf_counter()
            answer = self._ask(path, [f"{text} {number}"])
            if answer is None:
                traffic.failed += 1
            elif number >= warmup:
                traffic.samples_ms.append((time.perf_counter() - began) * 1000)

    def _ask(self, path: str, texts: Sequence[str]) -> Any:
        """The answer's JSON; None for a failure of any kind."""
        try:
            answer = self.client.post(path, json={"texts": list(texts)})
            return answer.json() if answer.status_code == 200 else None
        except (httpx.HTTPError, ValueError):
            return None

    def _resident_mib(self) -> float:
        try:
            return gates.resident_mib(self.client.get("/metrics").text)
        except httpx.HTTPError:
            return float("nan")


@contextmanager
def opened(site: Site, stage: str, answer_s: float) -> Iterator[Live]:
    """A stage by its Service at its own site, while the context lasts."""
    service = next(one.service for one in stages.load() if one.name == stage)
    target = forwarding.target(forwarding.row(site.settings, service))
    with (
        forwarding.forwarded(site, target) as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=answer_s, trust_env=False) as client,
    ):
        yield Live(stage, client)
