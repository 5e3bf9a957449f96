# ruff: noqa: ARG002  # the signatures are those of effects.Effect
"""Kinds of faults. Each is put in force at a place and remembers, as JSON, what it takes to undo it."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from provision import shell
from provision.wait import never, wait_until
from rehearsal.clouds.services import faults
from rehearsal.faults.ground import Ground

Memory = dict[str, Any]
BACK_S = 120.0


class Effect(Protocol):
    """A way to break something."""

    def on(self, ground: Ground, name: str) -> Memory:
        """Break it."""

    def off(self, ground: Ground, name: str, memory: Memory) -> None:
        """Mend it; silent about what is gone meanwhile."""


@dataclass(frozen=True)
class Keys:
    """Words that the services read. answers: see services/faults.py."""

    keys: Mapping[str, Any] = field(default_factory=dict)

    def on(self, ground: Ground, name: str) -> Memory:
        """From the next request on."""
        faults.add(ground.tree, name, self.keys)
        return {}

    def off(self, ground: Ground, name: str, memory: Memory) -> None:
        """From the next request on."""
        faults.remove(ground.tree, name)


@dataclass(frozen=True)
class AllocationOver:
    """The allocation ends in so many hours."""

    hours: int

    def on(self, ground: Ground, name: str) -> Memory:
        """By the clock of this machine, which is the site's too."""
        ends = datetime.now(UTC) + timedelta(hours=self.hours)
        return Keys({"allocation_ends": ends.isoformat(timespec="minutes")}).on(ground, name)

    def off(self, ground: Ground, name: str, memory: Memory) -> None:
        """As it was."""
        faults.remove(ground.tree, name)


@dataclass(frozen=True)
class Frozen:
    """A service that takes connections and does not answer. seconds: after so long it does; 0: when it is mended."""

    service: str
    seconds: int = 0

    def on(self, ground: Ground, name: str) -> Memory:
        """SIGSTOP."""
        pid = ground.signal(self.service, signal.SIGSTOP)
        if self.seconds:
            thaw = f"sleep {self.seconds}; kill -CONT {pid}"
            shell.spawn(["sh", "-c", thaw], log=ground.tree.file("log", "faults.log"))
        return {}

    def off(self, ground: Ground, name: str, memory: Memory) -> None:
        """SIGCONT."""
        ground.signal(self.service, signal.SIGCONT)


@dataclass(frozen=True)
class Killed:
    """A service dies once; its parent starts it again after a moment."""

    service: str

    def on(self, ground: Ground, name: str) -> Memory:
        """SIGKILL."""
        return {"pid": ground.signal(self.service, signal.SIGKILL)}

    def off(self, ground: Ground, name: str, memory: Memory) -> None:
        """It comes back by itself: wait until another process serves. Raises DeadlineExceeded."""
        wait_until(
            f"{ground.site}: {self.service} serves again",
            lambda: ground.serving_pid(self.service),
            lambda pid: pid not in (None, memory["pid"]),
            never,
            deadline_s=BACK_S,
            every_s=0.5,
            next=f"tail {ground.tree.file('log', self.service)}.out",
        )
