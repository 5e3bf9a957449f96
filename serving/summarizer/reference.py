"""An independent forward pass in fp64 numpy, one text at a time, written from the model's definition.

It shares nothing with the graphs but the weights: no padding, no mask of padding, no cache, every step from the start.
Slow on purpose: clear, not fast.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from serving.summarizer.weights import EPSILON, POSITION_OFFSET, Bart

Wide = npt.NDArray[np.float64]

_erf = np.vectorize(math.erf, otypes=[np.float64])


class Reference:
    """The forward pass over one model; every tensor is widened to fp64 when it is first used."""

    def __init__(self, bart: Bart) -> None:
        self._bart = bart
        self._wide: dict[str, Wide] = {}

    def encode(self, ids: Sequence[int]) -> Wide:
        """What the decoder looks at, [tokens, hidden]. ValueError for none or too many tokens."""
        state = self._embed("encoder", ids)
        for layer in range(self._bart.shape.encoder_layers):
            at = f"encoder.layers.{layer}."
            attended = self._attention(at + "self_attn", self._bart.shape.encoder_heads, state, state)
            state = self._norm(at + "self_attn_layer_norm", state + attended)
            state = self._feed_forward(at, state)
        return state

    def log_probs(self, memory: Wide, prefix: Sequence[int]) -> Wide:
        """Log-probabilities of the token after every prefix of `prefix`, [len(prefix), vocabulary]."""
        state = self._embed("decoder", prefix)
        heads = self._bart.shape.decoder_heads
        for layer in range(self._bart.shape.decoder_layers):
            at = f"decoder.layers.{layer}."
            attended = self._attention(at + "self_attn", heads, state, state, causal=True)
            state = self._norm(at + "self_attn_layer_norm", state + attended)
            attended = self._attention(at + "encoder_attn", heads, state, memory)
            state = self._norm(at + "encoder_attn_layer_norm", state + attended)
            state = self._feed_forward(at, state)
        logits = state @ self["shared.weight"].T + self["final_logits_bias"]
        shifted = logits - logits.max(axis=1, keepdims=True)
        found: Wide = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        return found

    def __getitem__(self, name: str) -> Wide:
        if name not in self._wide:
            self._wide[name] = self._bart[name].astype(np.float64)
        return self._wide[name]

    def _embed(self, side: str, ids: Sequence[int]) -> Wide:
        shape = self._bart.shape
        if not 0 < len(ids) <= shape.positions:
            raise ValueError(f"expected 1 to {shape.positions} tokens, got {len(ids)}")
        words = self["shared.weight"][np.asarray(ids)] * (math.sqrt(shape.hidden) if shape.scaled else 1.0)
        places = self[f"{side}.embed_positions.weight"][POSITION_OFFSET : POSITION_OFFSET + len(ids)]
        return self._norm(f"{side}.layernorm_embedding", words + places)

    def _feed_forward(self, at: str, state: Wide) -> Wide:
        inner = _gelu(self._linear(at + "fc1", state))
        return self._norm(at + "final_layer_norm", state + self._linear(at + "fc2", inner))

    def _attention(self, at: str, heads: int, state: Wide, memory: Wide, *, causal: bool = False) -> Wide:
        query = self._linear(at + ".q_proj", state)
        key, value = self._linear(at + ".k_proj", memory), self._linear(at + ".v_proj", memory)
        size = state.shape[1] // heads
        out = np.empty_like(query)
        for head in range(heads):
            part = slice(head * size, (head + 1) * size)
            scores = query[:, part] @ key[:, part].T / math.sqrt(size)
            if causal:
                scores[np.triu_indices(len(state), 1)] = -np.inf
            weights = np.exp(scores - scores.max(axis=1, keepdims=True))
            out[:, part] = weights / weights.sum(axis=1, keepdims=True) @ value[:, part]
        return self._linear(at + ".out_proj", out)

    def _linear(self, name: str, state: Wide) -> Wide:
        out: Wide = state @ self[name + ".weight"].T + self[name + ".bias"]
        return out

    def _norm(self, name: str, state: Wide) -> Wide:
        centred = state - state.mean(axis=1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + EPSILON)
        out: Wide = scaled * self[name + ".weight"] + self[name + ".bias"]
        return out


def _gelu(x: Wide) -> Wide:
    out: Wide = 0.5 * x * (1.0 + _erf(x / math.sqrt(2.0)))
    return out
