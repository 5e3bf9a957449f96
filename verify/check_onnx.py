"""The four serving stages, asked from the operator's machine: right vectors, the published model, within the latency.

Each stage is reached by its Service's fixed address through an ssh forward of its site's entry node, so what is asked
is the stage itself; the link between the sites has its own checks (check_tunnel.py). Summaries are asked for through
it, as a user of the platform asks.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from provision import promotion, stages
from provision.forwarding import forwarded, row, target
from provision.settings import Settings
from provision.site import Site
from serving import gates, lifecycle, recorded
from serving.gates import Memory, Verdict
from serving.recorded import Recorded
from serving.source import EMBEDDER
from serving.stages import Stage, load, load_router
from serving.tracking import Version
from verify import timing

SERVING = Path(__file__).resolve().parent.parent / "serving"
GOLDEN = json.loads((SERVING / "golden.json").read_text())
SUMMARIES = json.loads((SERVING / "summarizer" / "rehearsal.json").read_text())
TEXT = "Graph neural networks learn representations of nodes from the edges between them."
CPU = "CPUExecutionProvider"
STAGES = {stage.name: stage for stage in load()}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a stage said. seconds: from the first byte sent to the last byte read."""

    code: int
    headers: dict[str, str]
    body: Any
    seconds: float


@dataclass(frozen=True)
class Endpoint:
    """One stage behind one kept-open connection."""

    stage: Stage
    connection: HTTPConnection

    def ask(self, method: str, path: str, body: object = None) -> Answer:
        """One request."""
        started = time.perf_counter()
        self.connection.request(
            method, path, body=None if body is None else json.dumps(body), headers={"Content-Type": "application/json"}
        )
        response = self.connection.getresponse()
        text = response.read()
        seconds = time.perf_counter() - started
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, headers, json.loads(text), seconds)

    def embed(self, texts: Sequence[str]) -> Answer:
        """POST /embed; any other code than 200 fails the check with what the stage said."""
        answer = self.ask("POST", "/embed", {"texts": list(texts)})
        assert answer.code == 200, f"{self.stage.name}: {answer.code} {answer.body}"
        return answer

    def resident_mib(self) -> float:
        """Of its process, from its own metrics."""
        self.connection.request("GET", "/metrics")
        return gates.resident_mib(self.connection.getresponse().read().decode())


@dataclass(frozen=True, slots=True)
class Published:
    """The embedder's version that a stage's alias names, and what it records of itself."""

    version: Version
    texts: Sequence[Recorded]


@pytest.fixture(scope="module")
def published(stage: Stage, both: tuple[Site, Site], endpoint: Endpoint) -> Published:
    """From MLflow; an alias that is missing fails the checks that need it."""
    with promotion.opened(both[0]) as mlflow:
        version = mlflow.version(EMBEDDER, mlflow.aliases(EMBEDDER)[stage.name])
        read = recorded.read(mlflow, version)
    endpoint.connection.close()  # a stage closes one that is idle for 5 s; the next request opens another
    return Published(version, read)


@pytest.fixture(scope="module")
def endpoint(stage: Stage, both: tuple[Site, Site], budget: Callable[[str], float]) -> Iterator[Endpoint]:
    """The stage, reachable on a loopback port while its checks run."""
    site = both[1]
    with forwarded(site, target(row(site.settings, stage.service))) as port:
        connection = HTTPConnection("127.0.0.1", port, timeout=budget("onnx.request_deadline_s"))
        yield Endpoint(stage, connection)
        connection.close()


def passed(verdicts: Sequence[Verdict]) -> bool:
    """Whether all of them."""
    return all(one.passed for one in verdicts)


def reference(endpoint: Endpoint, budget: Callable[[str], float]) -> Verdict:
    """The recorded texts of this checkout, with the bounds of the precision that the answer names."""
    answer = endpoint.embed([text["text"] for text in GOLDEN["texts"]])
    wanted = [text["vector"] for text in GOLDEN["texts"]]
    return gates.reference(answer.body["embeddings"], wanted, answer.headers.get("x-model-precision", ""), budget)


def test_stage_is_ready(endpoint: Endpoint, figure: Callable[[str], None]) -> None:
    """Both models loaded, warmed, proven against what their own folders record, and the stage that it should be."""
    answer = endpoint.ask("GET", "/readyz")
    assert answer.code == 200, answer.body
    assert (answer.body["ready"], answer.body["stage"]) == (True, endpoint.stage.name)
    models = answer.body["models"]
    figure(", ".join(f"{one['role']} {one['model']} {one['version']} {one['precision']}" for one in models))
    assert [one["role"] for one in models] == ["embedder", "summarizer"]
    assert [one["refused_reason"] for one in models] == [None, None]


def test_vectors_agree_with_the_reference(
    endpoint: Endpoint, budget: Callable[[str], float], figure: Callable[[str], None]
) -> None:
    """Against the fp64 reference of this checkout, not against what the pod brings along; as near as its precision."""
    verdict = reference(endpoint, budget)
    figure(verdict.found)
    assert verdict.passed, verdict.found


def test_vectors_are_those_that_the_version_records(
    endpoint: Endpoint, published: Published, budget: Callable[[str], float], figure: Callable[[str], None]
) -> None:
    """Of the version that the alias names, from its files in MLflow: whatever its precision, it repeats itself."""
    vectors = endpoint.embed([one.text for one in published.texts]).body["embeddings"]
    verdict = gates.own(vectors, [one.vector for one in published.texts], budget("onnx.recorded_cosine_min"))
    figure(f"version {published.version.number}: {verdict.found}")
    assert verdict.passed, verdict.found


def test_answers_name_the_published_model(
    endpoint: Endpoint, published: Published, figure: Callable[[str], None]
) -> None:
    """Name, version and precision in the headers are those of the version in MLflow, and the reference is of it."""
    headers = endpoint.embed([TEXT]).headers
    told = [headers.get(f"x-{name}", "") for name in ("model-name", "model-version", "model-precision", "stage")]
    figure(" ".join(told))
    named = [published.version.tags[f"tandem.{key}"] for key in ("name", "version", "precision")]
    assert told == [*named, endpoint.stage.name]
    assert named[0] == GOLDEN["model"]


@pytest.mark.parametrize("model", lifecycle.MODELS)
def test_the_stage_serves_what_its_alias_names(
    model: str, endpoint: Endpoint, both: tuple[Site, Site], figure: Callable[[str], None]
) -> None:
    """The alias in MLflow, its version, and the version that the stage says it serves."""
    named = stages.named(both[0])[endpoint.stage.name, model]
    rows = {row["role"]: row for row in endpoint.ask("GET", "/readyz").body["models"]}
    served, trouble = rows[model]["version"], rows[model]["source_trouble"]
    figure(f"models:/{model}@{endpoint.stage.name} is {named.number}, {named.wanted} ({named.digest[:12]})")
    assert (served, trouble) == (named.wanted, None)


def test_the_provider_is_a_gpu_unless_that_is_simulated(
    endpoint: Endpoint, settings: Settings, figure: Callable[[str], None]
) -> None:
    """A stage on a CPU is degraded: right in an environment whose GPU is simulated, and said so; wrong elsewhere."""
    headers = endpoint.embed([TEXT]).headers
    provider, degraded = headers["x-provider"], headers.get("x-degraded") == "true"
    simulated = "GPU" in settings.simulated
    figure(f"{'GPU: simulated; ' if simulated else ''}{provider}{', degraded' if degraded else ''}")
    assert (provider == CPU) == simulated
    assert not degraded or simulated


def test_latency_is_within_the_budget(
    endpoint: Endpoint, budget: Callable[[str], float], figure: Callable[[str], None]
) -> None:
    """p50 and p95 of n sequential requests of one short text, after a warm-up; the numbers are in budgets.toml."""
    warmup, n = int(budget("onnx.warmup")), int(budget("onnx.n"))

    def measured() -> Sequence[Verdict]:
        samples = [endpoint.embed([TEXT]).seconds * 1000 for _ in range(warmup + n)][warmup:]
        return [gates.latency(samples, budget(f"onnx.latency_p{percent}_ms"), percent) for percent in (50, 95)]

    seen = timing.tried(measured, passed, budget("timing.tries"))
    figure(" then ".join("; ".join(f"{one.gate} {one.found}" for one in verdicts) for verdicts in seen))
    figure(f"warm-up {warmup}, one text a request, through ssh")
    assert passed(seen[-1])


def test_summaries_through_the_link_are_the_recorded_ones(
    stage: Stage, both: tuple[Site, Site], settings: Settings, figure: Callable[[str], None]
) -> None:
    """Word by word those of this checkout, which the image's model has been asked for when it was made."""
    texts = [known["text"] for known in SUMMARIES["texts"]]
    forward = row(settings, stage.service)
    answer, ms = stages.summarize(next(site for site in both if site.name == forward.listens), forward, texts)
    figure(f"{answer['model']} {answer['precision']}: {len(texts)} summaries in {ms:.0f} ms")
    assert (answer["model"], answer["precision"]) == (SUMMARIES["model"], SUMMARIES["precision"])
    assert answer["summaries"] == [known["summary"] for known in SUMMARIES["texts"]]


def test_the_process_is_within_its_size_and_does_not_grow(
    endpoint: Endpoint, budget: Callable[[str], float], figure: Callable[[str], None]
) -> None:
    """Resident memory before and after as many requests as the latency is measured with."""
    before = endpoint.resident_mib()
    for number in range(int(budget("onnx.n"))):
        endpoint.embed([f"{TEXT} {number}"])
    seen = Memory(before, endpoint.resident_mib())
    verdict = gates.memory(seen, budget("onnx.memory_max_mib"), budget("onnx.memory_growth_mib"))
    figure(verdict.found)
    assert verdict.passed, verdict.found


def test_the_router_passes_requests_on(
    both: tuple[Site, Site], budget: Callable[[str], float], figure: Callable[[str], None]
) -> None:
    """Right vectors through it, whichever stage gave them; no version has lost its share."""
    where = target(row(both[1].settings, load_router().service))
    with forwarded(both[1], where) as port:
        connection = HTTPConnection("127.0.0.1", port, timeout=budget("onnx.request_deadline_s"))
        router = Endpoint(STAGES["production"], connection)
        verdict = reference(router, budget)
        told = router.ask("GET", "/readyz").body
        connection.close()
    figure(f"{verdict.found}; shares of the canary {told['canary_share']}")
    assert verdict.passed, verdict.found
    assert (told["ready"], told["lost"]) == (True, {})
