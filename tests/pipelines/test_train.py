from __future__ import annotations

import numpy as np
import pytest

from pipelines.train import job, probe
from pipelines.train.checkpoints import Checkpoints
from pipelines.train.job import Plan
from pipelines.train.probe import State

PLAN = Plan("bucket", "somewhere", epochs=12)


class Shelf:
    """Checkpoints of one process: what the object store would hold."""

    def __init__(self) -> None:
        self.held: dict[str, bytes] = {}
        self.saves = 0

    def save(self, kept: Checkpoints, name: str, state: State) -> bytes:
        self.saves += 1
        self.held[kept.key(name)] = probe.dump(state)
        return self.held[kept.key(name)]

    def load(self, kept: Checkpoints, name: str) -> State | None:
        text = self.held.get(kept.key(name))
        return probe.load(text) if text else None


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch) -> Shelf:
    made = Shelf()
    monkeypatch.setattr(Checkpoints, "save", lambda kept, name, state: made.save(kept, name, state))
    monkeypatch.setattr(Checkpoints, "load", lambda kept, name: made.load(kept, name))
    monkeypatch.setattr("pipelines.train.job.time.sleep", lambda seconds: None)
    return made


def test_the_probe_learns_what_it_was_not_shown() -> None:
    data = job.read("")
    state = probe.start(data.features.shape[1], 3)
    guessed = probe.accuracy(state, data)
    for _ in range(40):
        state = probe.advance(state, data, 1e-4)
    assert guessed == pytest.approx(1 / 3)
    assert probe.accuracy(state, data) >= 2 / 3


def test_a_checkpoint_reads_back_as_it_was_written() -> None:
    data = job.read("")
    state = probe.advance(probe.start(data.features.shape[1], 3), data, 1e-2)
    again = probe.load(probe.dump(state))
    assert again.epoch == 1
    assert np.array_equal(again.weights, state.weights)


def test_a_candidate_goes_on_from_its_checkpoint_and_ends_the_same(shelf: Shelf) -> None:
    whole = job.train("weak", job.read(""), PLAN)
    written = shelf.held["somewhere/weak.npz"]
    shelf.held.clear()
    job.train("weak", job.read(""), Plan("bucket", "somewhere", epochs=5))
    rest = job.train("weak", job.read(""), PLAN)
    assert (whole.resumed_from, rest.resumed_from) == (0, 5)
    assert shelf.held["somewhere/weak.npz"] == written


def test_checkpoints_come_every_few_epochs_and_at_the_end(shelf: Shelf) -> None:
    job.train("strong", job.read(""), PLAN)
    assert shelf.saves == 3


def test_words_are_vectors_of_length_one_whatever_their_order() -> None:
    assert probe.words("a galaxy, a star.") == probe.words("Star a A galaxy")
    assert sum(value**2 for value in probe.words("one two three")) == pytest.approx(1.0)
