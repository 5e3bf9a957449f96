"""`provision.all` is killed (SIGKILL) in each of the eight steps; the same command goes on, and nothing is there twice.

Starts from nothing: the platform is destroyed with its data. Children of the killed process live on for as long as they
like (an Ansible run, a kubectl), as they would on a bad day.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from provision import shell
from provision.errors import DeadState
from provision.settings import Settings
from provision.steps import NAMES
from provision.wait import never, wait_until
from verify.drills.cli import Cli, kill, steps_begun, tail
from verify.drills.listing import Listing, doubles, expected, surplus, wrong

# How long after a step's first change began: long enough to be in the middle of something, short enough to be in it.
INTO_S = {
    "lease": 0.3,
    "storage": 0.3,
    "network": 0.5,
    "nodes": 4.0,
    "kubespray": 10.0,
    "secrets": 0.3,
    "tunnel": 0.5,
    "charts": 4.0,
}
GONE_S = 10.0


@dataclass(frozen=True)
class Walk:
    """One `provision.all` in the background. known: run folders that were there before it."""

    pid: int
    log: Path
    runs: Path
    known: frozenset[str]

    def changed(self) -> frozenset[str]:
        """Steps whose first change has begun, by the run's events."""
        folders = [path for path in self.runs.iterdir() if path.name not in self.known]
        return frozenset(step for folder in folders for step in steps_begun(folder / "events.jsonl"))


@pytest.fixture(scope="module", autouse=True)
def left_verified(cli: Cli) -> Iterator[None]:
    """Before the drill nothing stands, so that every step has something to do; after it every check is green."""
    cli.must("provision.destroy", "--data", deadline="drill.converge_deadline_s")
    yield
    cli.must_verify()


@pytest.mark.slow
@pytest.mark.breaks
@pytest.mark.parametrize("step", NAMES)
def test_killed_in_a_step_nothing_is_there_twice(
    step: str, cli: Cli, settings: Settings, clouds: Mapping[str, Listing], figure: Callable[[str], None]
) -> None:
    """Start, wait for the step's first change, kill in the middle of it, and list what the clouds have."""
    walk = started(cli, settings)
    wait_until(
        f"provision.all: a change of {step}",
        lambda: (step in walk.changed(), shell.is_alive(walk.pid)),
        lambda seen: seen[0],
        lambda seen: not seen[1],
        deadline_s=cli.budget("drill.converge_deadline_s"),
        every_s=0.05,
    )
    alive_s = await_middle(walk, INTO_S[step])
    kill(walk.pid)
    wait_until(
        "the killed process: gone",
        lambda: shell.is_alive(walk.pid),
        lambda alive: not alive,
        never,
        deadline_s=GONE_S,
        every_s=0.05,
    )
    names = {name: cloud.names() for name, cloud in clouds.items()}
    figure(f"killed {alive_s:.1f} s into {step}; listed: {counted(names)}")
    assert [text for found in names.values() for text in doubles(found)] == []
    assert [text for name, found in names.items() for text in surplus(found, expected(settings, name))] == []


@pytest.mark.slow
@pytest.mark.breaks
def test_then_the_same_command_converges(
    cli: Cli, settings: Settings, clouds: Mapping[str, Listing], figure: Callable[[str], None]
) -> None:
    """After eight kills: exit code 0, then nothing to do, and exactly what is wanted is listed."""
    finished = cli.must("provision.all", deadline="drill.converge_deadline_s")
    again = cli.must("provision.all", deadline="drill.converge_deadline_s")
    names = {name: cloud.names() for name, cloud in clouds.items()}
    figure(
        f"converged with {finished.data['changes']} changes in {finished.seconds:.0f} s; again {again.data['changes']} "
        f"changes in {again.seconds:.0f} s; listed: {counted(names)}"
    )
    assert again.data["changes"] == 0
    assert [text for found in names.values() for text in doubles(found)] == []
    assert [text for name, found in names.items() for text in wrong(found, expected(settings, name))] == []


def started(cli: Cli, settings: Settings) -> Walk:
    """Start `provision.all`."""
    runs = settings.state_dir / "runs"
    known = frozenset(path.name for path in runs.iterdir())
    pid, log = cli.start("provision.all")
    return Walk(pid, log, runs, known)


def await_middle(walk: Walk, seconds: float) -> float:
    """Let the step work for a while; a walk that ends by itself meanwhile was not killed in it."""
    begun = time.monotonic()
    try:
        return wait_until(
            "the middle of the step",
            lambda: (time.monotonic() - begun, shell.is_alive(walk.pid)),
            lambda seen: seen[0] >= seconds,
            lambda seen: not seen[1],
            deadline_s=seconds + 5,
            every_s=0.05,
        )[0]
    except DeadState as over:
        raise DeadState(over.what, why=tail(walk.log), log=str(walk.log)) from over


def counted(names: Mapping[str, Mapping[str, tuple[str, ...]]]) -> str:
    """`kvm-tacc 3 server 3 port ...`."""
    return "; ".join(
        f"{site} " + ", ".join(f"{len(listed)} {kind}" for kind, listed in kinds.items())
        for site, kinds in names.items()
    )
