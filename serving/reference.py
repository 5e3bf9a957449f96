"""An independent forward pass in fp64 numpy, one text at a time, written from the model's definition.

It shares nothing with `graph` but the weights, needs no padding and no mask, and is what every exported or quantised
variant is judged by. Slow on purpose: clear, not fast.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from serving.weights import Bert

Wide = npt.NDArray[np.float64]

_erf = np.vectorize(math.erf, otypes=[np.float64])


def embed(bert: Bert, ids: Sequence[int]) -> Wide:
    """The unit vector of one tokenized text (special tokens included). ValueError for none or too many tokens."""
    if not 0 < len(ids) <= bert.positions:
        raise ValueError(f"expected 1 to {bert.positions} tokens, got {len(ids)}")
    state = _embeddings(bert, ids)
    for layer in range(bert.layers):
        state = _layer(bert, f"encoder.layer.{layer}.", state)
    mean: Wide = state.mean(axis=0)
    return mean / math.sqrt(float(mean @ mean))


def _embeddings(bert: Bert, ids: Sequence[int]) -> Wide:
    words = bert["embeddings.word_embeddings.weight"][np.asarray(ids)].astype(np.float64)
    places = bert["embeddings.position_embeddings.weight"][: len(ids)].astype(np.float64)
    kind = bert["embeddings.token_type_embeddings.weight"][0].astype(np.float64)
    return _norm(bert, "embeddings.LayerNorm", words + places + kind)


def _layer(bert: Bert, at: str, state: Wide) -> Wide:
    attended = _linear(bert, at + "attention.output.dense", _attention(bert, at, state))
    state = _norm(bert, at + "attention.output.LayerNorm", state + attended)
    inner = _gelu(_linear(bert, at + "intermediate.dense", state))
    return _norm(bert, at + "output.LayerNorm", state + _linear(bert, at + "output.dense", inner))


def _attention(bert: Bert, at: str, state: Wide) -> Wide:
    size = bert.hidden // bert.heads
    query, key, value = (_linear(bert, f"{at}attention.self.{part}", state) for part in ("query", "key", "value"))
    out = np.empty_like(state)
    for head in range(bert.heads):
        part = slice(head * size, (head + 1) * size)
        scores = query[:, part] @ key[:, part].T / math.sqrt(size)
        weights = np.exp(scores - scores.max(axis=1, keepdims=True))
        out[:, part] = weights / weights.sum(axis=1, keepdims=True) @ value[:, part]
    return out


def _linear(bert: Bert, name: str, state: Wide) -> Wide:
    out: Wide = state @ bert[name + ".weight"].T.astype(np.float64) + bert[name + ".bias"].astype(np.float64)
    return out


def _norm(bert: Bert, name: str, state: Wide) -> Wide:
    centred = state - state.mean(axis=1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + bert.epsilon)
    out: Wide = scaled * bert[name + ".weight"].astype(np.float64) + bert[name + ".bias"].astype(np.float64)
    return out


def _gelu(x: Wide) -> Wide:
    out: Wide = 0.5 * x * (1.0 + _erf(x / math.sqrt(2.0)))
    return out
