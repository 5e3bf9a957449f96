"""What a summarizer has to do before it serves: load, read every length once, repeat its recorded summaries."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from serving.config import Config
from serving.summaries.model import SummaryLoad, SummaryModel
from serving.summaries.pace import Seed

BUCKETS = (4, 8, 16, 32, 64, 128, 256, 512, 1024)  # lengths of sources warmed: the first of a length takes memory


@dataclass(frozen=True, slots=True)
class SummaryProven:
    """A summarizer that is loaded, warmed and agrees with what was recorded. loaded_at: Unix time, seconds."""

    model: SummaryModel
    proof: float  # the most that a recorded log-probability moved, in nats
    seed: Seed
    loaded_at: int


def load_and_prove(config: Config, path: Path, load: SummaryLoad) -> SummaryProven:
    """Raises what loading raised, or GoldenMismatch."""
    model = load(config, path)
    proof = model.prove()  # before anything is measured, and it warms too
    return SummaryProven(model, proof, warm(model, config.summary_slots), int(time.time()))


def warm(model: SummaryModel, slots: int) -> Seed:
    """A step for every length of a source and every size of a batch; then how long a golden text takes alone.

    Golden summaries are shorter than a model's longest, so what one took counts for as many steps as there may be."""
    token = model.manifest.generation.eos_token_id
    batch = model.start()
    for length in (length for length in BUCKETS if length <= model.manifest.max_tokens):
        if len(batch) == slots:
            batch = model.start()
        batch.add([token] * length, model.manifest.generation)
        batch.step()
    (ids, _), steps = model.tokenize([model.golden.texts[0].text])[0], 0
    batch, began_s = model.start(), time.perf_counter()
    batch.add(ids, model.golden.generation)
    while batch:
        batch.step()
        steps += 1
    seconds, longest = time.perf_counter() - began_s, model.manifest.generation.max_length - 1
    most_s = seconds * longest / max(steps, 1)
    return Seed(longest, most_s, most_s)
