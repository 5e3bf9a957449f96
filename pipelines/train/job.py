"""The job: one candidate a worker, each on a share of the card, from its last checkpoint; the best one is kept.

A worker that dies takes its task with it; Ray starts the task again elsewhere, which goes on from the checkpoint.
"""

from __future__ import annotations

import hashlib
import os
import time
import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from pipelines.ingest import stage
from pipelines.train import probe
from pipelines.train.checkpoints import Checkpoints
from pipelines.train.probe import Data

CANDIDATES = {"weak": 1e-4, "strong": 1e-2}  # l2 of each
BEST = "probe"
EVERY = 5  # epochs between two checkpoints
RETRIES = 3
TEXTS = 32  # a request to a stage
SENTENCES = Path(__file__).with_name("sentences.toml")


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do. embed_url: of a serving stage; bags of words without one. pause_s: after each epoch."""

    bucket: str
    prefix: str
    epochs: int
    embed_url: str = ""
    pause_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a candidate ended. resumed_from: the epoch of the checkpoint it began with. pod: where. gpu: its share."""

    name: str
    accuracy: float
    epochs: int
    resumed_from: int
    pod: str
    gpu: str


@dataclass(frozen=True, slots=True)
class Result:
    """How the job ended. key, sha256: of the best candidate's checkpoint."""

    best: str
    accuracy: float
    key: str
    sha256: str
    outcomes: tuple[Outcome, ...]


def run(plan: Plan) -> Result:
    """All candidates side by side on the cluster that RAY_ADDRESS names."""
    import ray

    ray.init(log_to_driver=False)
    data = ray.put(read(plan.embed_url))
    remote = ray.remote(num_gpus=1, max_retries=RETRIES)(train)
    outcomes: list[Outcome] = ray.get([remote.remote(name, data, plan) for name in CANDIDATES])
    best = max(outcomes, key=lambda outcome: outcome.accuracy)
    kept = Checkpoints(plan.bucket, plan.prefix)
    state = kept.load(best.name)
    if state is None:
        raise RuntimeError(f"the checkpoint of {best.name} is gone")
    text = kept.save(BEST, state)
    return Result(best.name, best.accuracy, kept.key(BEST), hashlib.sha256(text).hexdigest(), tuple(outcomes))


def train(name: str, data: Data, plan: Plan) -> Outcome:
    """One candidate, from its last checkpoint to the last epoch."""
    kept = Checkpoints(plan.bucket, plan.prefix)
    state = kept.load(name) or probe.start(data.features.shape[1], int(data.labels.max()) + 1)
    resumed_from = state.epoch
    while state.epoch < plan.epochs:
        state = probe.advance(state, data, CANDIDATES[name])
        if state.epoch % EVERY == 0 or state.epoch == plan.epochs:
            kept.save(name, state)
        time.sleep(plan.pause_s)
    return Outcome(
        name,
        probe.accuracy(state, data),
        state.epoch,
        resumed_from,
        os.environ.get("RAY_CLOUD_INSTANCE_ID", ""),  # KubeRay: the pod's name
        os.environ.get("CUDA_VISIBLE_DEVICES", ""),
    )


def read(embed_url: str, path: Path = SENTENCES) -> Data:
    """The sentences as features; every fourth of a subject is held out."""
    subjects: dict[str, list[str]] = tomllib.loads(path.read_text(encoding="utf-8"))["subjects"]
    texts = [text for found in subjects.values() for text in found]
    if embed_url:
        rows = stage.embed(texts, stage.over_http(embed_url), most=TEXTS).vectors
    else:
        rows = [probe.words(text) for text in texts]
    labels = [number for number, found in enumerate(subjects.values()) for _ in found]
    held_out = [index % 4 == 3 for found in subjects.values() for index in range(len(found))]
    return Data(np.array(rows), np.array(labels), np.array(held_out))


def told(result: Result) -> dict[str, object]:
    """As plain data."""
    return asdict(result)
