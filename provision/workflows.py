"""Workflows as Argo's objects tell of them: pure readings of the objects, live or from the archive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from provision.errors import UsageError

PIPELINE = "tandem.io/pipeline"
WORKFLOW = "workflows.argoproj.io/workflow"
NODE = "workflows.argoproj.io/node-id"
LOG = "main-logs"
DEAD = ("Failed", "Error")


@dataclass(frozen=True, slots=True)
class Step:
    """One pod of a workflow, still there or not. log: key of its archived log, '' when there is none."""

    id: str
    name: str
    phase: str
    message: str
    started: str
    finished: str
    log: str = ""


@dataclass(frozen=True, slots=True)
class Workflow:
    """One run of a pipeline. progress: `done/known`. outputs: its global parameters. steps: in order of their start."""

    name: str
    uid: str
    pipeline: str
    phase: str
    started: str
    finished: str = ""
    progress: str = ""
    message: str = ""
    archived: bool = False
    outputs: Mapping[str, str] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()

    def __repr__(self) -> str:
        running = ", ".join(step.name for step in self.steps if step.phase in {"Pending", "Running"})
        return " ".join(word for word in (self.phase, self.progress, running, self.message) if word)

    def seconds(self, now: datetime) -> float:
        """How long it took, or has been running."""
        if not self.started:
            return 0.0
        ended = _moment(self.finished) if self.finished else now
        return (ended - _moment(self.started)).total_seconds()


def parse(item: Mapping[str, Any], *, archived: bool = False) -> Workflow:
    """From a Workflow object."""
    about, status = item["metadata"], item.get("status") or {}
    pods = [node for node in (status.get("nodes") or {}).values() if node["type"] == "Pod"]
    told = (status.get("outputs") or {}).get("parameters") or ()
    labels = about.get("labels") or {}
    return Workflow(
        name=about["name"],
        uid=about["uid"],
        pipeline=labels.get(PIPELINE, ""),
        phase=status.get("phase") or "Pending",
        started=status.get("startedAt") or "",
        finished=status.get("finishedAt") or "",
        progress=status.get("progress", ""),
        message=status.get("message", ""),
        archived=archived,
        outputs={one["name"]: str(one.get("value", "")) for one in told},
        steps=tuple(sorted(map(_step, pods), key=lambda step: (step.started, step.name))),
    )


def newest_first(live: Sequence[Workflow], archived: Sequence[Workflow]) -> list[Workflow]:
    """Both together; what still lives is not repeated from the archive."""
    known = {workflow.uid for workflow in live}
    found = [*live, *(workflow for workflow in archived if workflow.uid not in known)]
    return sorted(found, key=lambda workflow: workflow.started, reverse=True)


def manifest(pipeline: str, namespace: str, given: Mapping[str, str]) -> Mapping[str, Any]:
    """A run of a pipeline's template."""
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"generateName": f"{pipeline}-", "namespace": namespace, "labels": {PIPELINE: pipeline}},
        "spec": {
            "workflowTemplateRef": {"name": pipeline},
            "arguments": {"parameters": [{"name": name, "value": value} for name, value in given.items()]},
        },
    }


def parameters(template: Mapping[str, Any], words: Sequence[str]) -> Mapping[str, str]:
    """`name=value` words as a template takes them. Raises UsageError for one that it does not know or misses."""
    name = template["metadata"]["name"]
    known = {one["name"]: one for one in (template["spec"].get("arguments") or {}).get("parameters") or ()}
    shown = " ".join(f"-p {key}={one.get('value', '...')}" for key, one in known.items())
    given = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or key not in known:
            raise UsageError(f"pipeline {name}: no parameter {word!r}", why=f"it takes {', '.join(known) or 'none'}")
        given[key] = value
    if missing := [key for key, one in known.items() if "value" not in one and key not in given]:
        raise UsageError(
            f"pipeline {name}: {', '.join(missing)} not given", next=f"invoke pipelines.run {name} {shown}".rstrip()
        )
    return given


def _step(node: Mapping[str, Any]) -> Step:
    artifacts = (node.get("outputs") or {}).get("artifacts") or ()
    log = next((one["s3"]["key"] for one in artifacts if one["name"] == LOG and "s3" in one), "")
    return Step(
        id=node["id"],
        name=node["displayName"],
        phase=node.get("phase", "Pending"),
        message=node.get("message", ""),
        started=node.get("startedAt") or "",
        finished=node.get("finishedAt") or "",
        log=log,
    )


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
