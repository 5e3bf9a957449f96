"""Requests without a pause from a few clients side by side, while something is done to what answers them."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType

import httpx

NO_ANSWER = 0  # in place of a status
Headers = Callable[[int, int], Mapping[str, str]]  # of a client's turn, both counted


def plain(_client: int, _turn: int) -> Mapping[str, str]:
    """None."""
    return {}


@dataclass
class Steady:
    """Asks between `with` and its end. answers: (status, version) -> how often; of no answer: (0, the error)."""

    base_url: str
    texts: Sequence[str]
    clients: int = 4
    answer_s: float = 60.0
    headers: Headers = plain
    answers: Counter[tuple[int, str]] = field(default_factory=Counter)
    over: threading.Event = field(default_factory=threading.Event)
    threads: list[threading.Thread] = field(default_factory=list)
    held: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> Steady:
        self.threads = [threading.Thread(target=self._run, args=(n,), daemon=True) for n in range(self.clients)]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join()

    @property
    def failed(self) -> dict[tuple[int, str], int]:
        """What was anything but 200. Being told to come later (429) is a failure here: the load is small."""
        return {answer: count for answer, count in self.answers.items() if answer[0] != httpx.codes.OK}

    def told(self) -> str:
        """For a figure."""
        versions = ", ".join(
            f"{version} {count}" for (status, version), count in sorted(self.answers.items()) if status
        )
        return f"{sum(self.answers.values())} requests, {sum(self.failed.values())} failed; by version: {versions}"

    def _run(self, number: int) -> None:
        with httpx.Client(base_url=self.base_url, timeout=self.answer_s, trust_env=False) as client:
            turn = 0
            while not self.over.is_set():
                turn += 1
                answer = self._ask(
                    client, [f"{text} {number}.{turn}" for text in self.texts], self.headers(number, turn)
                )
                with self.held:
                    self.answers[answer] += 1

    @staticmethod
    def _ask(client: httpx.Client, texts: Sequence[str], headers: Mapping[str, str]) -> tuple[int, str]:
        try:
            answer = client.post("/embed", json={"texts": list(texts)}, headers=headers)
            return answer.status_code, answer.headers.get("x-model-version", "")
        except httpx.HTTPError as error:
            return NO_ANSWER, type(error).__name__
