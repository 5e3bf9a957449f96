"""One model's place in a process: what serves there now, and how another takes its place without a failed request.

A look asks the source, in a thread; another digest than the one that serves is loaded, warmed and proven beside it, in
a thread too. Then, on the event loop and so between two requests, it takes the place. Requests that began before end
on the model they began with, which is closed after the last of them. A version that cannot be loaded or proven is told
of and never tried again; what served goes on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar

from serving.described import Described
from serving.errors import NotReady, ServingError, SourceUnavailable
from serving.memory import give_back
from serving.source import Found, Source

LOADING = "the model is being loaded"

log = logging.getLogger("serving")

Result = Literal["swapped", "refused"]


class Proven(Protocol):
    """A model that is loaded, warmed and repeats what was recorded of it."""

    @property
    def model(self) -> Described:
        """What was loaded."""
        ...

    @property
    def proof(self) -> float:
        """How near it came to what was recorded, in the unit of its kind."""
        ...


class Desk(Protocol):
    """What answers with a proven model."""

    def close(self) -> None:
        """Take no more work."""
        ...

    def wait(self, deadline_s: float, /) -> None:
        """Until what was taken is done; blocks."""
        ...


P = TypeVar("P", bound=Proven)
D = TypeVar("D", bound=Desk)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A version that was found and cannot serve."""

    version: str
    reason: str


@dataclass(eq=False, slots=True)
class _Opened(Generic[P, D]):
    found: Found
    proven: P
    desk: D
    users: int = 0
    is_retired: bool = False


class Seat(Generic[P, D]):
    """Everything but the loading happens on the event loop."""

    def __init__(
        self,
        role: str,
        source: Source,
        prepare: Callable[[Found], P],
        open_: Callable[[P], D],
        *,
        changed: Callable[[], None],
        counted: Callable[[str, Result], None],
    ) -> None:
        """`prepare` runs in a thread and raises what is wrong; `open_` may be called when the process does not stop."""
        self.role = role
        self.reason = LOADING  # why nothing serves; empty when something does
        self.trouble = ""  # of the source, when it was asked last
        self.refusal: Refusal | None = None
        self._source, self._prepare, self._open = source, prepare, open_
        self._changed, self._counted = changed, counted
        self._opened: _Opened[P, D] | None = None
        self._refused: dict[str, Refusal] = {}  # by digest
        self._ending: set[asyncio.Task[None]] = set()
        self._is_closed = False

    @property
    def has_failed(self) -> bool:
        """Whether nothing serves, and what was found cannot."""
        return self._opened is None and self.refusal is not None

    @property
    def proven(self) -> P | None:
        """What serves."""
        return self._opened.proven if self._opened else None

    @property
    def desk(self) -> D | None:
        """What answers now, for a look; a request takes it with `use`."""
        return self._opened.desk if self._opened else None

    def require(self) -> D:
        """What answers now. Raises NotReady."""
        if self._opened is None:
            raise NotReady(self.reason)
        return self._opened.desk

    @contextmanager
    def use(self) -> Iterator[D]:
        """What answers now, which stays open until this is left. Raises NotReady."""
        if self._opened is None:
            raise NotReady(self.reason)
        opened = self._opened
        opened.users += 1
        try:
            yield opened.desk
        finally:
            opened.users -= 1
            self._end_if_done(opened)

    async def keep(self, poll_s: float) -> None:
        """Look, for ever."""
        while True:
            await self.look()
            await asyncio.sleep(poll_s)

    async def look(self) -> None:
        """Ask the source once, and serve what it says if that is another model that can be served."""
        found = await self._ask()
        if found is None:
            self._changed()
            return
        serves = self._opened is not None and found.digest == self._opened.found.digest
        self.refusal = self._refused.get(found.digest)
        if serves or self.refusal is not None:
            return
        try:
            proven = await asyncio.to_thread(self._prepare, found)
        except Exception as error:  # whatever it is: it must not end the looking, and is told of
            reason = f"{type(error).__name__}: {error}"
            trace = None if isinstance(error, ServingError) else error
            log.error("%s: version %s refused: %s", self.role, found.version or "?", reason, exc_info=trace)
            self._refuse(found, reason)
        else:
            self._take(found, proven)
        self._changed()

    async def close(self, deadline_s: float) -> None:
        """Nothing takes this place any more; what answers is closed and waited for."""
        self._is_closed = True
        if self._opened is not None:
            self._opened.desk.close()
            await asyncio.to_thread(self._opened.desk.wait, deadline_s)
        if self._ending:
            await asyncio.wait(self._ending, timeout=deadline_s)

    async def _ask(self) -> Found | None:
        before, self.trouble = self.trouble, ""
        try:
            return await asyncio.to_thread(self._source.current)
        except Exception as error:  # whatever it is: what serves goes on
            self.trouble = f"{type(error).__name__}: {error}"
            if self.trouble != before:
                trace = None if isinstance(error, SourceUnavailable) else error
                log.warning("%s: nobody says which version to serve: %s", self.role, self.trouble, exc_info=trace)
        if self._opened is None and self.refusal is None:
            self.reason = self.trouble
        return None

    def _refuse(self, found: Found, reason: str) -> None:
        self.refusal = self._refused[found.digest] = Refusal(found.version, reason)
        if self._opened is None:
            self.reason = reason
        self._counted(self.role, "refused")

    def _take(self, found: Found, proven: P) -> None:
        if self._is_closed:
            return
        old, self._opened = self._opened, _Opened(found, proven, self._open(proven))
        self.reason = ""
        if old is not None:
            self._counted(self.role, "swapped")
            old.is_retired = True
            self._end_if_done(old)

    def _end_if_done(self, opened: _Opened[P, D]) -> None:
        """Close what was replaced once nobody uses it; its threads have nothing to do and end at once."""
        if opened.is_retired and not opened.users:
            opened.desk.close()
            ending = asyncio.create_task(asyncio.to_thread(_end, opened))
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)


def _end(opened: _Opened[P, D]) -> None:
    """Wait for the threads, then let go of the model and give its memory back."""
    opened.desk.wait(10.0)
    del opened.desk, opened.proven
    give_back()
