"""The stage `testing` under more than it takes, killed under load, and asked for vectors while it summarises.

What is sent comes from this process through the ssh connection, so its own work is in every time. Nothing stays: the
stage is left with the versions it had.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median

import pytest

from provision import forwarding
from provision.site import Site
from serving import gates
from serving.stages import load
from verify.drills import stage_pod, strain
from verify.drills.cli import Cli
from verify.drills.papers import PAPERS
from verify.drills.strain import Asker, Told, asking

STAGE = "testing"
TEXTS = [paper.text for paper in PAPERS]
SIZE, CLIENTS = 16, 16  # abstracts of a request; clients while the rate is measured
SETTLE_S, OVERLOAD_S, BURSTS, BURST_S = 10.0, 60.0, 8, 3.0
TOO_MANY = 429
KILL_CLIENTS, BEFORE_S, AFTER_S = 4, 5.0, 20.0
ROUNDS, ROUND_S, SUMMARIES = 3, 15.0, 4
INTERACTIVE = {"X-Priority": "interactive"}


@dataclass(frozen=True, slots=True)
class Overload:
    """What came of it. rate: texts a second that the stage took when 16 clients asked. late: refused, asked again."""

    rate: float
    told: list[Told]
    late: list[Told]
    before_mib: float
    during_mib: list[float]
    after_mib: float

    @property
    def times(self) -> float:
        """Texts sent, by those that the stage takes meanwhile."""
        return sum(one.size for one in self.told) / (self.rate * OVERLOAD_S)

    @property
    def honest(self) -> float:
        """Of the refused that came back when they were told to, the share that was taken."""
        return len(strain.accepted(self.late)) / len(self.late) if self.late else 0.0

    @property
    def p99_s(self) -> float:
        """Of the accepted."""
        return gates.percentile([one.seconds for one in strain.accepted(self.told)], 99)


@pytest.fixture
def url(both: tuple[Site, Site]) -> Iterator[str]:
    """The stage on this machine's loopback, as long as a drill lasts."""
    service = next(one.service for one in load() if one.name == STAGE)
    target = forwarding.target(forwarding.row(both[1].settings, service))
    with forwarding.forwarded(both[1], target) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.mark.slow
@pytest.mark.breaks
def test_ten_times_what_it_takes_is_refused_honestly(url: str, cli: Cli, figure: Callable[[str], None]) -> None:
    """A minute of it: nothing fails, memory is flat, what is taken is right and in time; then bursts, whose refused
    come back when they were told to: as long as ten times too many ask, a place that frees is anybody's."""
    seen = asyncio.run(overload(url, cli.budget("drill.overload_times")))
    figure(
        f"{seen.rate:.1f} texts/s at {CLIENTS} clients; {seen.times:.1f} times that sent: {strain.counted(seen.told)}"
    )
    figure(f"taken {strain.texts_per_s(seen.told, OVERLOAD_S):.1f} texts/s, p99 {seen.p99_s:.2f} s, ")
    figure(f"of {len(seen.late)} refused {seen.honest:.0%} taken when they came back: {strain.counted(seen.late)}")
    figure(f"memory {seen.before_mib:.0f} MiB, at most {max(seen.during_mib):.0f}, then {seen.after_mib:.0f}")
    figure(f"likeness of the worst vector {strain.worst(seen.told):.6f}")
    assert seen.times >= cli.budget("drill.overload_times_min")
    assert set(strain.counted(seen.told)) == {"200", "429"}
    assert strain.unclear(seen.told) == []
    assert strain.worst(seen.told) >= cli.budget("onnx.recorded_cosine_min")
    assert seen.p99_s <= cli.budget("drill.overload_p99_s")
    assert max(seen.during_mib) - seen.before_mib <= cli.budget("drill.overload_growth_mib")
    assert seen.after_mib - seen.before_mib <= cli.budget("drill.overload_growth_mib")
    assert set(strain.counted(seen.late)) <= {"200", "429"}
    assert seen.honest >= cli.budget("drill.retry_share_min")


@pytest.mark.slow
@pytest.mark.breaks
def test_killed_under_load_it_is_back_and_never_wrong(
    url: str, both: tuple[Site, Site], cli: Cli, figure: Callable[[str], None]
) -> None:
    """SIGKILL to the process. kubelet starts a container again at once the first time, and waits 10 s before the
    second: so a pod whose container was started again before is replaced first."""
    site = both[1]
    pod = stage_pod.unspent(site, STAGE, cli.budget("drill.application_back_s"))
    killed, killed_s, told = asyncio.run(kill_under_load(url, lambda: stage_pod.kill(site, STAGE, pod)))
    back_s = strain.back_s(told, killed_s)
    again = stage_pod.find(site, STAGE)
    figure(f"process {killed} of {pod['metadata']['name']} killed: answers again after {back_s:.1f} s")
    figure(f"{strain.counted(told)}; likeness of the worst vector {strain.worst(told):.6f}")
    assert (again["metadata"]["uid"], stage_pod.restarts(again)) == (pod["metadata"]["uid"], 1)
    assert strain.worst(told) >= cli.budget("onnx.recorded_cosine_min")
    assert [one for one in told if not one.is_accepted and one.began_s + one.seconds < killed_s] == []
    assert back_s <= cli.budget("drill.killed_back_s")


@pytest.mark.slow
@pytest.mark.breaks
def test_summaries_do_not_hold_up_embeddings(url: str, cli: Cli, figure: Callable[[str], None]) -> None:
    """p99 of single texts, in turns without and with four summaries in the making."""
    alone, beside, made = asyncio.run(in_turns(url))
    ratio = median(beside) / median(alone)
    figure(f"p99 without {shown(alone)}, with {shown(beside)}: {ratio:.2f} times; {made:.1f} summaries at a time")
    assert made >= cli.budget("drill.summaries_making_min")
    assert ratio <= cli.budget("drill.summaries_p99_times")


async def overload(url: str, times: float) -> Overload:
    """Learn, measure, a minute of too much, bursts of it, and quiet again."""
    async with asking(url, TEXTS, INTERACTIVE) as asker:
        await asker.learn()
        rate = strain.texts_per_s(await strain.closed(asker, SIZE, SETTLE_S, CLIENTS), SETTLE_S)
        assert rate > 0, "the stage takes nothing"
        before_mib, during_mib = await resident_mib(asker), list[float]()
        watching = asyncio.create_task(watch(asker, during_mib))
        per_s = times * rate / SIZE
        told: list[Told] = []
        await settled(await strain.opened(asker, SIZE, per_s, OVERLOAD_S, told))
        late = [one for _ in range(BURSTS) for one in await burst(asker, per_s, rate)]
        watching.cancel()
        return Overload(rate, told, late, before_mib, during_mib, await resident_mib(asker))


async def burst(asker: Asker, per_s: float, rate: float) -> list[Told]:
    """Too much for a moment; of those refused last, as many ask again as make half a second's work."""
    heard: list[Told] = []
    under_way = await strain.opened(asker, SIZE, per_s, BURST_S, heard)
    refused = [one for one in heard if one.status == TOO_MANY and one.retry_after]
    late = await strain.repeated(asker, refused[-max(1, int(rate / 2 / SIZE)) :])
    await settled(under_way)
    return late


async def settled(under_way: set[asyncio.Task[None]]) -> None:
    """Until all that was sent is answered."""
    while under_way:
        await asyncio.wait(under_way)


async def watch(asker: Asker, seen_mib: list[float]) -> None:
    """Memory, every second."""
    while True:
        seen_mib.append(await resident_mib(asker))
        await asyncio.sleep(1.0)


async def resident_mib(asker: Asker) -> float:
    """Of the stage's process."""
    return gates.resident_mib(await asker.metrics())


async def kill_under_load(url: str, end: Callable[[], tuple[int, float]]) -> tuple[int, float, list[Told]]:
    """A few clients all the time; what was killed, when, and all that they were told."""
    async with asking(url, TEXTS, INTERACTIVE) as asker:
        await asker.learn()
        load = asyncio.create_task(strain.closed(asker, 1, BEFORE_S + AFTER_S, KILL_CLIENTS, pause_s=0.05))
        await asyncio.sleep(BEFORE_S)
        killed, killed_s = await asyncio.to_thread(end)
        return killed, killed_s, await load


async def in_turns(url: str) -> tuple[list[float], list[float], float]:
    """p99 in seconds of each round without and with summaries, and how many were in the making on average."""
    alone, beside, making = list[float](), list[float](), list[float]()
    async with asking(url, TEXTS) as asker:
        await asker.learn()
        for _ in range(ROUNDS):
            alone.append(await p99_s(asker))
            async with strain.summarising(asker, SUMMARIES, making):
                beside.append(await p99_s(asker))
    return alone, beside, sum(making) / len(making)


async def p99_s(asker: Asker) -> float:
    """Of single texts, one after the other; each must be answered."""
    told = await strain.closed(asker, 1, ROUND_S, 1)
    assert set(strain.counted(told)) == {"200"}, strain.counted(told)
    return gates.percentile([one.seconds for one in told], 99)


def shown(seconds: list[float]) -> str:
    """`12/14/13 ms`."""
    return "/".join(f"{one * 1000:.0f}" for one in seconds) + " ms"
