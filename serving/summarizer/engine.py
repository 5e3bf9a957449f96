"""The two sessions of a summarizer, and what can be asked of them without a beam search.

Sessions may be run from several threads at once; a `Batch` belongs to one thread. The weights are mapped from their
file, so rows of the word table that no text touches cost no memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from serving.errors import TextInvalid
from serving.summarizer import folder as files
from serving.summarizer import slots
from serving.summarizer.cross import Cross
from serving.summarizer.slots import Plan

CPU = "CPUExecutionProvider"
DEVICES = {CPU: "cpu", "CUDAExecutionProvider": "cuda"}

Floats = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Engine:
    """One loaded model. `provider` is the one that really runs it."""

    encoder: Any  # onnxruntime.InferenceSession, which has no types
    decoder: Any
    tidy: Any  # onnxruntime.RunOptions of the encoder
    provider: str
    layers: int
    heads: int
    size: int  # of a head
    vocabulary: int
    positions: int  # longest text in tokens, for source and summary alike

    @property
    def device(self) -> str:
        """Where the decoder's cache stays between steps, as ONNX Runtime names it."""
        return DEVICES.get(self.provider, "cpu")

    def encode(self, ids: Sequence[int]) -> Cross:
        """What the decoder needs of one text (special tokens included), computed alone: nothing pads it.

        Raises TextInvalid for none or too many tokens, or one that is not in the vocabulary."""
        if not 0 < len(ids) <= self.positions or min(ids) < 0 or max(ids) >= self.vocabulary:
            raise TextInvalid(f"expected 1 to {self.positions} tokens, every one from 0 to {self.vocabulary - 1}")
        row = np.asarray([ids], np.int64)
        out = self.encoder.run(None, {"input_ids": row, "attention_mask": np.ones_like(row)}, self.tidy)
        # Copies: what comes out lies between what the run needed, and would keep the arena from giving that back.
        return Cross(tuple(map(np.copy, out[0::2])), tuple(map(np.copy, out[1::2])), (len(ids),))

    def empty_cache(self) -> list[Any]:
        """Keys and values before the first step: one slot per head, which nobody sees."""
        nothing = np.zeros((1, self.heads, 1, self.size), np.float32)
        return [self.put(nothing) for _ in range(2 * self.layers)]

    def put(self, value: npt.NDArray[Any]) -> Any:
        """The array where the decoder reads it; on a CPU that is where it lies."""
        return onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(value), self.device, 0)

    def step(self, feed: dict[str, Any], given: dict[str, Any]) -> tuple[Floats, Ids, list[Any]]:
        """One decoder step: scores and ids [texts * beams, width], and the cache that the next step takes.

        `feed` are arrays that change with every step, `given` are values `put` before."""
        binding = self.decoder.io_binding()
        for name, value in feed.items():
            binding.bind_cpu_input(name, np.ascontiguousarray(value))
        for name, value in given.items():
            binding.bind_ortvalue_input(name, value)
        for name in ("scores", "ids"):
            binding.bind_output(name, "cpu")
        for name in self.cache_names("present"):
            binding.bind_output(name, self.device)
        self.decoder.run_with_iobinding(binding)
        scores, ids, *cache = binding.get_outputs()
        return scores.numpy(), ids.numpy(), cache

    def cache_names(self, when: str) -> list[str]:
        """Of the graph's inputs (`past`) or outputs (`present`), in the order of `empty_cache`."""
        return [f"{when}_{part}.{layer}" for layer in range(self.layers) for part in ("key", "value")]

    def put_cross(self, cross: Cross) -> dict[str, Any]:
        """The inputs of a decoder step that stay as long as its texts do."""
        given = {f"cross_key.{layer}": self.put(value) for layer, value in enumerate(cross.keys)}
        given |= {f"cross_value.{layer}": self.put(value) for layer, value in enumerate(cross.values)}
        return given | {"attention_mask": self.put(cross.mask())}

    def log_probs(self, source: Sequence[int], prefix: Sequence[int]) -> Floats:
        """Log-probabilities after every prefix of `prefix`, [len(prefix), vocabulary], without any search."""
        given = self.put_cross(self.encode(source))
        cache, line, nothing = self.empty_cache(), slots.start(1), np.zeros(1, np.int64)
        out = np.empty((len(prefix), self.vocabulary), np.float32)
        for place, token in enumerate(prefix):
            plan = slots.plan([line])
            feed = step_feed(plan, np.array([[token]]), np.array([place]), nothing, self.vocabulary)
            past = dict(zip(self.cache_names("past"), cache, strict=True))
            scores, ids, cache = self.step(feed, given | past)
            out[place, ids[0]] = scores[0]
            line = slots.descend(plan.lines[0], nothing, plan.kept)
        return out


def step_feed(plan: Plan, tokens: Ids, positions: Ids, owner: Ids, width: int) -> dict[str, npt.NDArray[Any]]:
    """The inputs of a decoder step that change with every step."""
    return {
        "tokens": tokens,
        "positions": positions,
        "owner": owner,
        "keep": plan.keep,
        "lineage": plan.lineage,
        "width": np.array([width], np.int64),
    }


def load(folder: Path, *, provider: str = CPU, threads: int = 1) -> Engine:
    """Make the sessions; the caller has checked the files and judges `provider`, which may not be the one asked for."""
    encoder = _session(folder / files.ENCODER, provider, threads, has_arena=True)
    decoder = _session(folder / files.DECODER, provider, threads, has_arena=False)
    dims = {value.name: value.shape for value in decoder.get_inputs()}
    layers = sum(name.startswith("past_key.") for name in dims)
    _, heads, _, size = dims["past_key.0"]
    about = decoder.get_modelmeta().custom_metadata_map
    provider = decoder.get_providers()[0]
    sizes = (layers, heads, size, int(about["vocabulary"]), int(about["positions"]))
    return Engine(encoder, decoder, _tidy(), provider, *sizes)


def _tidy() -> Any:
    """After a text the arena gives back what it took: hundreds of MiB for a long one, which comes once in a while."""
    options = onnxruntime.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options


def _session(path: Path, provider: str, threads: int, *, has_arena: bool) -> Any:
    """Without an arena on a CPU, memory is taken and given back piece by piece: for small pieces that costs nothing,
    while an arena keeps as much as the largest batch ever took."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.enable_mem_pattern = False  # the cache grows with every step, so no plan of memory is ever used twice
    options.enable_cpu_mem_arena = has_arena
    # A spinning worker takes the core that the client or another stage needs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    wanted = [provider] if provider != CPU and provider in onnxruntime.get_available_providers() else []
    exact = (CPU, {"arena_extend_strategy": "kSameAsRequested"})  # else the arena doubles, and gives nothing back
    return onnxruntime.InferenceSession(str(path), options, providers=[*wanted, exact])
