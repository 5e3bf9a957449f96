"""Softmax regression by full-batch gradient descent. Pure and deterministic: the same epochs give the same bytes."""

from __future__ import annotations

import io
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

RATE = 2.0
WORDS = 256  # dimensions of a bag of words
Matrix = NDArray[np.float64]
Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Data:
    """Rows of features with their labels. held_out: rows that are never trained on."""

    features: Matrix
    labels: Labels
    held_out: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class State:
    """What was learned in so many epochs. weights: one row a feature and one for the bias, one column a class."""

    weights: Matrix
    epoch: int = 0


def start(features: int, classes: int) -> State:
    """Nothing learned yet."""
    return State(np.zeros((features + 1, classes)))


def advance(state: State, data: Data, l2: float) -> State:
    """One more epoch. l2: how strongly large weights are pulled back."""
    rows, labels = _with_bias(data.features[~data.held_out]), data.labels[~data.held_out]
    scores = rows @ state.weights
    likely = np.exp(scores - scores.max(axis=1, keepdims=True))
    likely /= likely.sum(axis=1, keepdims=True)
    likely[np.arange(len(labels)), labels] -= 1.0
    slope = rows.T @ likely / len(labels) + l2 * state.weights
    return State(state.weights - RATE * slope, state.epoch + 1)


def accuracy(state: State, data: Data) -> float:
    """Share of the held-out rows that get their own label."""
    guessed = (_with_bias(data.features[data.held_out]) @ state.weights).argmax(axis=1)
    return float((guessed == data.labels[data.held_out]).mean())


def dump(state: State) -> bytes:
    """As a checkpoint."""
    out = io.BytesIO()
    np.savez(out, weights=state.weights, epoch=np.int64(state.epoch))
    return out.getvalue()


def load(text: bytes) -> State:
    """From a checkpoint."""
    with np.load(io.BytesIO(text), allow_pickle=False) as found:
        return State(found["weights"], int(found["epoch"]))


def words(text: str) -> list[float]:
    """A bag of hashed words of length 1: features that need no model."""
    bag = np.zeros(WORDS)
    for word in text.lower().replace(".", " ").replace(",", " ").split():
        bag[int.from_bytes(blake2b(word.encode(), digest_size=2).digest()) % WORDS] += 1.0
    return list((bag / np.linalg.norm(bag)).tolist())


def _with_bias(rows: Matrix) -> Matrix:
    return np.hstack([rows, np.ones((len(rows), 1))])
