"""What is measured: every server of a kind up at once, then each in turn, measure by measure, round by round."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from bench import load, server, texts
from bench.load import Beside, Figure
from bench.peers import Kind, Peer
from bench.quality import Quality, of
from bench.server import Running
from bench.venvs import Unavailable
from provision import say

SOURCE_TOKENS, NEW_TOKENS = 256, 48
WARM = 4  # requests before anything is counted
LEAST_WORD = 5
SUMMARIES = 4  # in the making beside embeddings


@dataclass(frozen=True, slots=True)
class Measure:
    """One way to ask: so many clients, for so long, for these; beside others, or alone."""

    name: str
    kind: Kind
    clients: int
    seconds: float
    bodies: tuple[bytes, ...]
    beside: Beside | None = None

    @property
    def path(self) -> str:
        """Of every server of this kind."""
        return "/summarize" if self.kind == "summarize" else "/embed"


@dataclass(frozen=True, slots=True)
class Row:
    """One drive of one server."""

    round: int
    measure: str
    peer: str
    figure: Figure


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a server beside its rates; `why` it is missing, if it is."""

    peer: str
    precision: str
    ready_s: float = 0.0
    rss_mib: int = 0
    quality: Quality | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Effort:
    """How much of everything. many: clients of the crowded measures. judged: passages that precision is judged on."""

    rounds: int
    seconds: float
    many: int = 64
    judged: int = 60


SMOKE = Effort(rounds=1, seconds=0.5, many=4, judged=8)


def plan(kind: Kind, effort: Effort, vocabulary: int) -> list[Measure]:
    """All measures of a kind."""
    seconds, many = effort.seconds, effort.many
    if kind != "summarize":
        long, short = (tuple(load.bodies(found)) for found in (texts.abstracts(), texts.queries()))
        alone = [Measure("abstracts_1", kind, 1, seconds, long), Measure("queries_1", kind, 1, seconds, short)]
        if kind == "both":
            summaries = Beside("/summarize", long, SUMMARIES)
            return [each for one in alone for each in (one, replace(one, name=beside(one.name), beside=summaries))]
        return [
            Measure(f"abstracts_{many}", kind, many, seconds, long),
            Measure(f"queries_{many}", kind, many, seconds, short),
            *alone,
        ]
    return [Measure(f"summaries_{size}", kind, 1, 1.0, (sources(size, vocabulary),)) for size in (1, 4)]


def beside(name: str) -> str:
    """What a measure is called while summaries are made."""
    return f"{name}_beside_{SUMMARIES}"


def sources(size: int, vocabulary: int) -> bytes:
    """A request for `size` summaries of random tokens: how long they take does not depend on what they say."""
    rng = random.Random(size)
    ids = [[rng.randrange(LEAST_WORD, vocabulary) for _ in range(SOURCE_TOKENS)] for _ in range(size)]
    return json.dumps({"sources": ids, "new": NEW_TOKENS}).encode()


def run(
    peers: Sequence[Peer],
    measures: Sequence[Measure],
    effort: Effort,
    models: Path,
    logs: Path,
    between: Callable[[], None] = lambda: None,
) -> tuple[list[Row], list[Facts]]:
    """Rows of all rounds, and facts of every server, those that did not start included. `between`: done every round,
    while no server is asked anything."""
    rows: list[Row] = []
    facts: list[Facts] = []
    with ExitStack() as stack:
        up = _start(peers, models, logs, stack, facts)
        for one in up:
            for measure in measures:
                load.drive(one.port, measure.path, measure.bodies[:WARM], 1, 0.2)
        for number in range(effort.rounds):
            turn = up[number % len(up) :] + up[: number % len(up)] if up else []
            rows += [_drive(one, measure, number) for measure in measures for one in turn]
            between()
        facts += [_facts(one, models, effort.judged) for one in up]
    return rows, facts


def _start(peers: Sequence[Peer], models: Path, logs: Path, stack: ExitStack, facts: list[Facts]) -> list[Running]:
    up = []
    for peer in peers:
        try:
            one = stack.enter_context(server.running(peer, models, logs / f"{peer.name}.log"))
        except Unavailable as error:
            say.line("bench", "fail", f"{peer.name}: {error.what}")
            facts.append(Facts(peer.name, peer.precision, why=f"{error.what}: {error.why}"))
        else:
            say.line("bench", "ok", f"{peer.name} ready in {one.ready_s:.1f} s")
            up.append(one)
    return up


def _drive(one: Running, measure: Measure, number: int) -> Row:
    # Each round begins elsewhere in the texts, so that short rounds do not all ask for the same few.
    start = number * 97 % len(measure.bodies)
    bodies = measure.bodies[start:] + measure.bodies[:start]
    began = one.cpu_s(), time.process_time()
    figure = load.drive(one.port, measure.path, bodies, measure.clients, measure.seconds, measure.beside)
    ended = one.cpu_s(), time.process_time()
    server_ms, client_ms = (
        (end - start) * 1000 / max(1, figure.count) for start, end in zip(began, ended, strict=True)
    )
    figure = replace(figure, server_ms=server_ms, client_ms=client_ms)
    say.line("bench", "ran", f"{measure.name:20} {one.peer.name:24} {figure.rate:9.2f}/s p50 {figure.p50_ms:8.1f} ms")
    return Row(number, measure.name, one.peer.name, figure)


def _facts(one: Running, models: Path, judged: int) -> Facts:
    rss_mib = one.rss_mib()
    quality = of(one.port, models, judged) if one.peer.kind != "summarize" else None
    return Facts(one.peer.name, one.peer.precision, one.ready_s, rss_mib, quality)
