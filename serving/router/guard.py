"""Watches the canary: looks at both stages, judges, takes the share away, and lets the alias go back.

The share goes first and at once, in this process: no more requests reach the bad version, whatever MLflow does. Then
the router itself moves the alias `canary` back, with the rights of the user who promotes: only so the verdict outlives
this process, and the canary's pod comes to serve the version before. While MLflow is down that is tried at every look.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from serving import lifecycle
from serving.errors import ServingError
from serving.gates import Memory
from serving.lifecycle import Note
from serving.registry import VERSION
from serving.router import watch
from serving.router.config import Limits
from serving.router.probe import Stage
from serving.router.proxy import CANARY, PRODUCTION, Clock
from serving.router.split import Split
from serving.router.watch import Breach
from serving.router.window import Window
from serving.tracking import Tracking

EMBEDDER = "embedder"  # the model that vectors are of

log = logging.getLogger("serving.router")
TakeBack = Callable[[str, str, Breach], str]  # model, the version that did badly, why -> what was done


class Guard:
    """One canary beside one production. Its state changes on the event loop only."""

    def __init__(
        self,
        limits: Limits,
        stages: Mapping[str, Stage],
        windows: Mapping[tuple[str, str], Window],
        split: Split,
        take_back: TakeBack,
        now: Clock = time.monotonic,
    ) -> None:
        self._limits, self._stages, self._windows, self._split = limits, stages, windows, split
        self._take_back, self._now = take_back, now
        self._first_mib = math.nan  # of the canary's process, when its version was first seen
        self._pending: dict[str, tuple[str, Breach]] = {}
        self.is_ready = False

    async def keep(self, every_s: float) -> None:
        """Look again and again; ends by being cancelled. Without eyes no request goes to the canary."""
        try:
            while True:
                await self.look()
                await asyncio.sleep(every_s)
        finally:
            for model in self._split.standing:
                self._split.serves(model, "")

    async def look(self) -> None:
        """Once."""
        production, canary = await asyncio.gather(*(self._stages[name].versions() for name in (PRODUCTION, CANARY)))
        self.is_ready = bool(production)
        for model in self._split.standing:
            if self._split.serves(model, canary.get(model, "")):
                self._windows[CANARY, model].clear()
                self._first_mib = math.nan
        if canary:
            await self._judge(production, canary)
        for model, (version, breach) in list(self._pending.items()):
            await self._go_back(model, version, breach)

    async def _judge(self, production: Mapping[str, str], canary: Mapping[str, str]) -> None:
        """A model that has lost its share is not judged again: nothing of it is asked any more."""
        ours, theirs = await asyncio.gather(*(self._stages[name].vectors() for name in (CANARY, PRODUCTION)))
        memory = await self._memory()
        if ours is None:
            self._windows[CANARY, EMBEDDER].add(self._now(), None)
        changed = [model for model in canary if canary[model] != production.get(model)]
        for model in (model for model in canary if self._split.judges(model)):
            breach = self._traffic(model)
            if model == EMBEDDER and ours is not None and theirs is not None:
                breach = breach or watch.vectors(ours, theirs, self._limits)
            if memory and (model in changed or not changed):  # a process has two models: the new one is to blame
                breach = breach or memory
            if breach:
                self._trip(model, canary[model], breach, goes_back=model in changed)
            elif model != EMBEDDER or (ours is not None and theirs is not None):
                self._split.trust(model)

    async def _memory(self) -> Breach | None:
        now_mib = await self._stages[CANARY].resident_mib()
        if not math.isfinite(now_mib):
            return None
        if not math.isfinite(self._first_mib) or now_mib < self._first_mib:
            self._first_mib = now_mib
        return watch.memory(Memory(self._first_mib, now_mib), self._limits)

    def _traffic(self, model: str) -> Breach | None:
        seen = {stage: self._windows[stage, model].seen(self._now()) for stage in (CANARY, PRODUCTION)}
        return watch.traffic(seen[CANARY], seen[PRODUCTION], self._limits)

    def _trip(self, model: str, version: str, breach: Breach, *, goes_back: bool) -> None:
        log.error("canary: %s %s does badly: %s: %s; its share is 0", model, version, breach.reason, breach.found)
        self._split.trip(model, breach)
        if goes_back:
            self._pending[model] = (version, breach)

    async def _go_back(self, model: str, version: str, breach: Breach) -> None:
        try:
            log.warning(
                "canary: %s %s: %s", model, version, await asyncio.to_thread(self._take_back, model, version, breach)
            )
        except (ServingError, LookupError) as error:  # MLflow's refusals, and answers of another shape
            log.warning("canary: %s stays named by its alias, which will be tried again: %s", model, error)
            return
        del self._pending[model]


def alias_back(mlflow: Tracking, model: str, version: str, breach: Breach) -> str:
    """Let the alias `canary` name the version before; only while it names the one that did badly."""
    aliases = mlflow.aliases(model)
    step = lifecycle.way_back(aliases, model, CANARY)
    number = aliases.get(CANARY, "")
    if not number or mlflow.version(model, number).tags.get(VERSION) != version:
        return "its alias names another version by now"
    if step is None:
        return "no version before it is known: the alias stays, the share too"
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    lifecycle.roll_back(mlflow, step, Note("the router", at, f"{breach.reason}: {breach.found}"))
    return f"the alias is back at {step.after}"
