"""What the `pipelines.*` tasks do: start a workflow from a template and follow it, list workflows, read their logs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from provision import gateway, readiness, releases, say, workflows
from provision.commands import Json, Options, settings_of
from provision.engine import open_sites
from provision.errors import CommandFailed, PlatformError, PreconditionMissing, UsageError
from provision.readiness import Patience, Progress
from provision.site import Site
from provision.state import Run
from provision.wait import wait_until
from provision.workflows import Step, Workflow

RELEASE = "pipelines"
KIND = "workflows.argoproj.io"
TEMPLATE = "workflowtemplates.argoproj.io"
KEY = "s3-argo"
SUMMARY = "summary"  # the output that a template writes for people
GRACE_S = 120.0  # beyond a workflow's own deadline, for its controller to say so
LISTED = 30
# Without its server, the archive is read where it lies. Nodes are left out of lists: they are most of a workflow.
ARCHIVE = ("exec", "-i", "--pod-running-timeout=5s", "-n", "data", "statefulset/postgresql", "--")
PSQL = ("psql", "-h", "/run/postgresql", "-U", "postgres", "-d", "argo", "-v", "ON_ERROR_STOP=1", "-qAt")
RECENT = f"""
SELECT coalesce(json_agg(json_build_object('metadata', w -> 'metadata', 'status',
  (w -> 'status')::jsonb - 'nodes' - 'storedTemplates' - 'storedWorkflowTemplateSpec')), '[]')
FROM (SELECT workflow::json AS w FROM argo_archived_workflows ORDER BY startedat DESC LIMIT {LISTED}) AS recent;
"""
ONE = "SELECT coalesce(json_agg(workflow::json), '[]') FROM argo_archived_workflows WHERE name = :'name';"


@dataclass(frozen=True)
class Runs:
    """The workflows of a site's cluster and of its archive."""

    site: Site
    namespace: str

    def template(self, name: str) -> Mapping[str, Any]:
        """A pipeline's template. Raises UsageError, or PreconditionMissing when there is none at all."""
        items: list[Mapping[str, Any]] = self.site.kube.get(TEMPLATE, namespace=self.namespace)
        found = {item["metadata"]["name"]: item for item in items}
        if not found:
            raise PreconditionMissing(
                f"{self.site.name} has no pipelines", next=f"invoke provision.charts --site {self.site.name}"
            )
        if name not in found:
            raise UsageError(f"no pipeline {name!r}", why=f"there are: {', '.join(found)}")
        return found[name]

    def create(self, name: str, given: Mapping[str, str]) -> str:
        """Start a workflow; returns its name."""
        made = workflows.manifest(name, self.namespace, given)
        answer = self.site.kube.run("create", "-f", "-", "-o", "json", stdin=json.dumps(made))
        return str(json.loads(answer.stdout)["metadata"]["name"])

    def live(self, name: str = "") -> list[Workflow]:
        """Workflows that are objects in the cluster: all, or one by name."""
        return [workflows.parse(item) for item in self.site.kube.get(KIND, namespace=self.namespace, name=name)]

    def archived(self, name: str = "") -> list[Workflow]:
        """Finished workflows of the archive: the newest ones, or one by name."""
        answer = self.site.kube.run(*ARCHIVE, *PSQL, "-v", f"name={name}", stdin=ONE if name else RECENT)
        return [workflows.parse(item, archived=True) for item in json.loads(answer.stdout)]

    def pods(self, name: str) -> Mapping[str, Mapping[str, Any]]:
        """Node id -> pod of a workflow, as far as they are still there."""
        found = self.site.kube.get("pods", namespace=self.namespace, selector=f"{workflows.WORKFLOW}={name}")
        return {pod["metadata"]["annotations"].get(workflows.NODE, ""): pod for pod in found}


def run(options: Options, name: str, words: Sequence[str]) -> Json:
    """Start a pipeline with `name=value` parameters and follow it to its end. Raises DeadState when it fails."""
    runs = _runs(options)
    template = runs.template(name)
    made = runs.create(name, workflows.parameters(template, words))
    say.line(RELEASE, "start", made)
    deadline_s = float(template["spec"].get("activeDeadlineSeconds", 0)) + GRACE_S
    try:
        done = follow(runs, made, deadline_s)
    except KeyboardInterrupt:
        say.line(RELEASE, "note", f"{made} goes on by itself: invoke pipelines.list, invoke pipelines.logs {made}")
        raise
    say.line(RELEASE, "ok", f"{made} {done.seconds(_now()):.0f} s")
    say.text(done.outputs.get(SUMMARY, ""))
    return {**_row(done), "outputs": dict(done.outputs), "exit_code": 0}


def follow(runs: Runs, name: str, deadline_s: float) -> Workflow:
    """Say what its steps do until it has succeeded. A step whose pod cannot start ends the wait, not the workflow."""
    watch = _Watch(runs, name)
    return wait_until(
        f"pipeline {name}",
        watch.look,
        lambda seen: seen.phase == "Succeeded",
        watch.is_dead,
        deadline_s=deadline_s,
        every_s=readiness.EVERY_S,
        next=f"invoke pipelines.logs {name}",
    )


def list_(options: Options) -> Json:
    """Workflows, newest first: those in the cluster, then those that only the archive still knows."""
    runs = _runs(options)
    try:
        archived = runs.archived()
    except PlatformError as error:
        say.warn(f"the archive does not answer: {error.why or error.what}")
        archived = []
    found = workflows.newest_first(runs.live(), archived)[:LISTED]
    say.text(table(found, _now()))
    return {"workflows": [_row(workflow) for workflow in found]}


def logs(options: Options, name: str) -> Json:
    """What each step of a workflow said: its pod while that is there, else what was kept in S3."""
    runs = _runs(options)
    found = runs.live(name) or runs.archived(name)
    if not found:
        raise UsageError(f"no workflow {name!r}", next="invoke pipelines.list")
    workflow = found[0]
    rows = _read(runs, workflow)
    for row in rows:
        say.line(RELEASE, "log", f"{row['step']}: {row['phase']}{row['message'] and ', '}{row['message']}")
        say.text(row["text"].rstrip() or f"({row['source']})")
    return {"workflow": workflow.name, "phase": workflow.phase, "logs": list(rows)}


def table(found: Sequence[Workflow], now: datetime) -> str:
    """The list for people."""
    lines = [f"{'name':<28} {'phase':<10} {'started':<21} {'duration':>8}  message"]
    for one in found:
        told = f"{one.message}{' (archive)' if one.archived else ''}"
        lines.append(f"{one.name:<28} {one.phase:<10} {one.started:<21} {one.seconds(now):>6.0f} s  {told}".rstrip())
    return "\n".join(lines)


@dataclass
class _Watch:
    """Looks at one workflow again and again, and says what is new."""

    runs: Runs
    name: str
    told: dict[str, str] = field(default_factory=dict)
    patience: Patience = field(default_factory=Patience)

    def look(self) -> Workflow:
        found = self.runs.live(self.name)
        if not found:
            raise PreconditionMissing(f"workflow {self.name}: somebody deleted it", next="invoke pipelines.list")
        for step in found[0].steps:
            if self.told.get(step.id) != step.phase:
                self.told[step.id] = step.phase
                say.line(RELEASE, "step", f"{step.name} {step.phase} {step.message}".rstrip())
        return found[0]

    def is_dead(self, seen: Workflow) -> bool:
        if seen.phase in workflows.DEAD:
            return True
        troubles = [trouble for pod in self.runs.pods(self.name).values() for trouble in readiness.troubles(pod)]
        stuck = Progress((seen.phase,), tuple(troubles))
        if over := self.patience.is_over(stuck):
            say.warn(f"{self.name} stays as it is: {stuck!r}")
        return over


def _read(runs: Runs, workflow: Workflow) -> list[dict[str, str]]:
    pods = runs.pods(workflow.name)
    rows = [_from_pod(runs, step, pods[step.id]) if step.id in pods else None for step in workflow.steps]
    if all(rows):
        return [row for row in rows if row]
    with gateway.opened(runs.site, KEY) as store:
        settings = runs.site.settings
        bucket = f"/{settings.name(settings.store_site, 'argo')}"
        return [row or _from_store(store, bucket, step) for step, row in zip(workflow.steps, rows, strict=True)]


def _from_pod(runs: Runs, step: Step, pod: Mapping[str, Any]) -> dict[str, str] | None:
    """None when the pod has not begun to say anything, or went while it was asked."""
    answer = runs.site.kube.run("logs", pod["metadata"]["name"], "-n", runs.namespace, "-c", "main", ok=(0, 1))
    return _log(step, "pod", answer.stdout) if answer.code == 0 else None


def _from_store(store: gateway.Gateway, bucket: str, step: Step) -> dict[str, str]:
    try:
        kept = store.get(f"{bucket}/{step.log}") if step.log else None
    except CommandFailed as error:
        return _log(step, f"not to be had: {error.what}", "")
    return _log(step, "none was kept" if kept is None else "archive", (kept or b"").decode(errors="replace"))


def _log(step: Step, source: str, text: str) -> dict[str, str]:
    return {"step": step.name, "phase": step.phase, "message": step.message, "source": source, "text": text}


def _row(workflow: Workflow) -> Json:
    return {
        "name": workflow.name,
        "pipeline": workflow.pipeline,
        "phase": workflow.phase,
        "started": workflow.started,
        "seconds": round(workflow.seconds(_now())),
        "message": workflow.message,
        "archived": workflow.archived,
    }


def _runs(options: Options) -> Runs:
    settings = settings_of(options)
    release = next(one for one in releases.every(settings) if one.name == RELEASE)
    return Runs(open_sites(settings, Run(settings.state_dir))[release.site], release.namespace)


def _now() -> datetime:
    return datetime.now(UTC)
