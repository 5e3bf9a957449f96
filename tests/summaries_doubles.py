"""A summarizer without a runtime, whose steps are let through one by one, and a source whose version can be moved."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path

from serving.errors import GoldenMismatch, SourceUnavailable
from serving.source import Found
from serving.summarizer.folder import Gate, Golden, GoldenText, Manifest
from serving.summarizer.generation import Generation

SETTINGS = Generation(num_beams=1, min_length=2, max_length=9, decoder_start_token_id=2, eos_token_id=2)
MOST = 16  # tokens of a source


class FakeBatch:
    """Says every text's own tokens again, one a step, as many as its settings allow; "!" makes a step fail."""

    def __init__(self, model: FakeSummaries) -> None:
        self._model, self._tickets = model, 0
        self._texts: dict[int, tuple[list[int], int]] = {}
        self._said: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._texts)

    def add(self, ids: Sequence[int], settings: Generation, /) -> int:
        """One text more."""
        self._tickets += 1
        self._texts[self._tickets] = (list(ids), min(len(ids), settings.max_length - 1))
        self._said[self._tickets] = 0
        return self._tickets

    def drop(self, ticket: int, /) -> None:
        """One text less."""
        self._texts.pop(ticket, None)

    def step(self) -> dict[int, list[int]]:
        """Waits to be let."""
        self._model.pass_gate([ids for ids, _ in self._texts.values()])
        if any(ord("!") in ids for ids, _ in self._texts.values()):
            raise ZeroDivisionError("the password is hunter2")
        done = {}
        for ticket, (ids, length) in list(self._texts.items()):
            self._said[ticket] += 1
            if self._said[ticket] >= length:
                done[ticket] = ids[:length]
                del self._texts[ticket]
        return done


class FakeSummaries:
    """A token is a character; a summary is the beginning of its text."""

    provider = "CPUExecutionProvider"

    def __init__(self, version: str = "1", *, degraded: bool = False, is_wrong: bool = False) -> None:
        self.degraded = degraded
        self.golden = Golden(generation=SETTINGS, texts=[GoldenText(text="gold", summary=[], log_probs=[])])
        self.manifest = Manifest(
            name="fake-bart",
            version=version,
            precision="int8",
            max_tokens=MOST,
            generation=SETTINGS,
            opset=17,
            source_sha256="",
            gate=Gate(cosine_mean=1, cosine_min=1, exact=1, rouge_l=1),
            files={},
        )
        self.is_gated = False
        self.steps: list[list[str]] = []  # the texts of each, once it is gated
        self.threads: set[str] = set()
        self._is_wrong = is_wrong
        self._open, self._entered = threading.Semaphore(0), threading.Semaphore(0)

    def tokenize(self, texts: Sequence[str], /) -> list[tuple[list[int], bool]]:
        """A character a token."""
        return [([ord(letter) for letter in text[:MOST]], len(text) > MOST) for text in texts]

    def text(self, ids: Sequence[int], /) -> str:
        """The characters again."""
        return "".join(map(chr, ids))

    def start(self) -> FakeBatch:
        """An empty batch."""
        return FakeBatch(self)

    def prove(self) -> float:
        """Unless it is a wrong one."""
        if self._is_wrong:
            raise GoldenMismatch("another summary than the recorded one")
        return 0.0

    def pass_gate(self, texts: Sequence[Sequence[int]]) -> None:
        """One step, as soon as it is let."""
        self.threads.add(threading.current_thread().name)
        if self.is_gated and texts:
            self.steps.append([self.text(ids) for ids in texts])
            self._entered.release()
            assert self._open.acquire(timeout=10), "nobody let this step run"

    def let(self, steps: int = 1) -> None:
        """So many more may run."""
        self._open.release(steps)

    async def entered(self, steps: int = 1) -> None:
        """Until so many more have come to the gate."""
        for _ in range(steps):
            assert await asyncio.to_thread(self._entered.acquire, True, 10), "no step came"


class Moving:
    """A source that names the version it was last moved to; no version: it cannot be asked."""

    def __init__(self, version: str | None) -> None:
        self.version = version
        self.asked = 0

    def current(self) -> Found:
        """The folder is called like the version."""
        self.asked += 1
        if self.version is None:
            raise SourceUnavailable("the registry does not answer")
        return Found(Path(self.version), self.version, f"sha256:{self.version}")
