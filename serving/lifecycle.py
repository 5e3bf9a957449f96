"""How versions of a model come into MLflow and move along the stages, as its aliases and tags.

`<stage>` is the alias of the version that a stage serves, `<stage>-previous` of the one before it. Who moved it, when,
why and what the gates found stand in the version's tag `tandem.<stage>`, a rollback in `tandem.<stage>.rolled-back`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from serving.errors import GateFailed, ModelInvalid
from serving.gates import Verdict
from serving.manifest import MANIFEST, sha256
from serving.registry import DIGEST, VERSION
from serving.source import EMBEDDER, SUMMARIZER
from serving.stages import NAMES
from serving.store import check
from serving.tracking import Tracking, Version

MODELS = (EMBEDDER, SUMMARIZER)
EXPERIMENT = "tandem-models"
PREVIOUS = "-previous"


@dataclass(frozen=True, slots=True)
class Note:
    """Who did something, when (UTC, ISO 8601) and why."""

    who: str
    at: str
    why: str


@dataclass(frozen=True, slots=True)
class Move:
    """An alias moved from one version to another; numbers as MLflow gives them, '' for none."""

    model: str
    stage: str
    before: str
    after: str


def register(mlflow: Tracking, model: str, folder: Path, note: Note) -> Version:
    """The version of a model folder: the one that is there with the same content, else a new one with all its files.

    Raises ModelInvalid when the folder is not what its manifest says, GateFailed when its version's name is taken by
    other content: answers tell versions by that name.
    """
    digest = _digest(folder)
    check(folder, digest)
    about = json.loads((folder / MANIFEST).read_bytes())
    for known in mlflow.versions(model):
        if known.tags.get(DIGEST) == digest:
            return known
        if known.tags.get(VERSION) == about["version"]:
            raise GateFailed(f"{model}: version {about['version']} is registered with other content, as {known.number}")
    mlflow.ensure_model(model)
    at = mlflow.open_run(EXPERIMENT, f"{model} {about['version']}")
    for name in (MANIFEST, *about["files"]):
        mlflow.upload(at.source, folder / name)
    mlflow.close_run(at.run)
    told = {"name": about["name"], "precision": about["precision"], "registered": _text(asdict(note))}
    tags = {DIGEST: digest, VERSION: about["version"], **{f"tandem.{key}": value for key, value in told.items()}}
    return mlflow.create_version(model, at, tags)


def assign(mlflow: Tracking, version: Version, note: Note) -> tuple[str, ...]:
    """Give every stage that has no alias yet this version; returns those stages."""
    known = mlflow.aliases(version.model)
    bare = tuple(stage for stage in NAMES if stage not in known)
    for stage in bare:
        move(mlflow, Move(version.model, stage, "", version.number), note)
    return bare


def move(mlflow: Tracking, step: Move, note: Note, verdicts: Sequence[Verdict] = ()) -> None:
    """Let a stage's alias name another version, and keep the one before it. Killed in between, it can be repeated."""
    told = {**asdict(note), "before": step.before, "gates": {one.gate: one.found for one in verdicts}}
    mlflow.tag(step.model, step.after, f"tandem.{step.stage}", _text(told))
    if step.before and step.before != step.after:
        mlflow.set_alias(step.model, step.stage + PREVIOUS, step.before)
    mlflow.set_alias(step.model, step.stage, step.after)


def way_back(aliases: Mapping[str, str], model: str, stage: str) -> Move | None:
    """What a rollback of a stage would do; None when no other version is known from before."""
    before, after = aliases.get(stage, ""), aliases.get(stage + PREVIOUS, "")
    return Move(model, stage, before, after) if after and after != before else None


def roll_back(mlflow: Tracking, step: Move, note: Note) -> None:
    """The alias first: what comes after it is for the record, and a second try finds nothing left to move."""
    mlflow.set_alias(step.model, step.stage, step.after)
    mlflow.delete_alias(step.model, step.stage + PREVIOUS)
    if step.before:
        told = {**asdict(note), "back_to": step.after}
        mlflow.tag(step.model, step.before, f"tandem.{step.stage}.rolled-back", _text(told))


def _digest(folder: Path) -> str:
    try:
        return sha256(folder / MANIFEST)
    except OSError as error:
        raise ModelInvalid(f"no model in {folder}: {error.strerror}") from error


def _text(told: Mapping[str, Any]) -> str:
    return json.dumps(told, sort_keys=True)
