"""Pipelines from the operator's side: what is sent, how a run is followed, where logs come from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from provision import gateway, pipelines, workflows
from provision.errors import DeadState, PreconditionMissing, UsageError
from provision.pipelines import Runs
from provision.settings import load
from provision.shell import Result
from provision.wait import wait_until
from provision.workflows import Workflow

NOW = datetime(2026, 11, 25, 10, 0, 30, tzinfo=UTC)
TEMPLATE = {
    "metadata": {"name": "ingest"},
    "spec": {"arguments": {"parameters": [{"name": "prefix", "value": ""}, {"name": "batch", "value": "20"}]}},
}
ASK = {"metadata": {"name": "ask"}, "spec": {"arguments": {"parameters": [{"name": "questions"}]}}}


def node(number: int, phase: str, *, log: str = "", kind: str = "Pod") -> Mapping[str, Any]:
    outputs = {"artifacts": [{"name": "plan"}, {"name": "main-logs", "s3": {"key": log}}]} if log else {}
    return {
        "id": f"ingest-x-{number}",
        "displayName": f"step{number}",
        "type": kind,
        "phase": phase,
        "startedAt": f"2026-11-25T10:00:{number:02d}Z",
        "outputs": outputs,
    }


def item(phase: str, *nodes: Mapping[str, Any], name: str = "ingest-x", **status: Any) -> Mapping[str, Any]:
    return {
        "metadata": {"name": name, "uid": f"uid-{name}", "labels": {workflows.PIPELINE: "ingest"}},
        "status": {
            "phase": phase,
            "startedAt": "2026-11-25T10:00:00Z",
            "nodes": {one["id"]: one for one in nodes},
            **status,
        },
    }


@dataclass
class Kube:
    """Answers of one cluster, in order; the last one stays."""

    workflows: list[Sequence[Mapping[str, Any]]] = field(default_factory=list)
    pods: Sequence[Mapping[str, Any]] = ()
    templates: Sequence[Mapping[str, Any]] = (TEMPLATE, ASK)
    archive: Sequence[Mapping[str, Any]] = ()
    ran: list[tuple[tuple[str, ...], str]] = field(default_factory=list)

    def get(self, kind: str, *, namespace: str, name: str = "", selector: str = "") -> Sequence[Mapping[str, Any]]:
        if kind == "pods":
            return self.pods
        if kind == pipelines.TEMPLATE:
            return self.templates
        found = self.workflows.pop(0) if len(self.workflows) > 1 else self.workflows[0]
        return [one for one in found if name in {"", one["metadata"]["name"]}]

    def run(self, *words: str, stdin: str = "", ok: Sequence[int] = (0,)) -> Result:
        self.ran.append((words, stdin))
        out = {
            "create": json.dumps({"metadata": {"name": "ingest-x"}}),
            "exec": json.dumps(list(self.archive)),
            "logs": "from the pod\n",
        }[words[0]]
        return Result(words, 0, out, "", 0.0)


def runs(kube: Kube) -> Runs:
    site: Any = SimpleNamespace(name="kvm-tacc", kube=kube, settings=load("rehearsal", platform="rehearsal"))
    return Runs(site, "argo")


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("provision.pipelines.wait_until", partial(wait_until, sleep=lambda _s: None))


def test_a_workflow_is_read_from_its_object() -> None:
    told: dict[str, Any] = {"outputs": {"parameters": [{"name": "summary", "value": "fine"}]}, "progress": "1/2"}
    found = workflows.parse(
        item("Running", node(2, "Running"), node(1, "Succeeded", log="k"), node(3, "Running", kind="DAG"), **told)
    )
    assert (found.name, found.pipeline, found.phase, found.outputs) == (
        "ingest-x",
        "ingest",
        "Running",
        {"summary": "fine"},
    )
    assert [(step.name, step.log) for step in found.steps] == [("step1", "k"), ("step2", "")]
    assert repr(found) == "Running 1/2 step2"
    assert found.seconds(NOW) == 30.0


def test_a_workflow_that_nobody_has_looked_at_is_pending() -> None:
    found = workflows.parse({"metadata": {"name": "n", "uid": "u"}})
    assert (found.phase, found.pipeline, found.seconds(NOW)) == ("Pending", "", 0.0)


def test_what_lives_is_not_repeated_from_the_archive() -> None:
    live = [workflows.parse(item("Running", name="b"))]
    archived = [workflows.parse(item("Succeeded", name=name), archived=True) for name in ("a", "b")]
    found = workflows.newest_first(live, archived)
    assert sorted((one.name, one.archived) for one in found) == [("a", True), ("b", False)]


@pytest.mark.parametrize(
    ("template", "words", "given"),
    [
        (TEMPLATE, [], {}),
        (TEMPLATE, ["prefix=a=b", "batch=3"], {"prefix": "a=b", "batch": "3"}),
        (ASK, ["questions="], {"questions": ""}),
    ],
)
def test_parameters_are_what_the_template_takes(
    template: Mapping[str, Any], words: list[str], given: Mapping[str, str]
) -> None:
    assert workflows.parameters(template, words) == given


@pytest.mark.parametrize(("template", "words"), [(TEMPLATE, ["size=3"]), (TEMPLATE, ["prefix"]), (ASK, [])])
def test_other_parameters_are_refused(template: Mapping[str, Any], words: list[str]) -> None:
    with pytest.raises(UsageError):
        workflows.parameters(template, words)


def test_an_unknown_pipeline_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(UsageError, match="ingest, ask"):
        runs(Kube()).template("train")


def test_no_pipelines_at_all_is_another_step_s_matter() -> None:
    with pytest.raises(PreconditionMissing, match=r"provision\.charts"):
        runs(Kube(templates=())).template("ingest")


def test_a_run_is_a_reference_to_its_template() -> None:
    kube = Kube()
    assert runs(kube).create("ingest", {"prefix": "x/"}) == "ingest-x"
    sent = json.loads(kube.ran[0][1])
    assert sent["metadata"]["generateName"] == "ingest-"
    assert sent["spec"] == {
        "workflowTemplateRef": {"name": "ingest"},
        "arguments": {"parameters": [{"name": "prefix", "value": "x/"}]},
    }


def test_a_run_is_followed_and_every_new_phase_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    seen = [[item("Running", node(1, "Running"))]] * 3 + [[item("Succeeded", node(1, "Succeeded"))]]
    assert pipelines.follow(runs(Kube(workflows=[*seen])), "ingest-x", 60).phase == "Succeeded"
    assert [line.split()[-2:] for line in capsys.readouterr().err.splitlines()] == [
        ["step1", "Running"],
        ["step1", "Succeeded"],
    ]


@pytest.mark.parametrize("phase", workflows.DEAD)
def test_a_failed_run_ends_the_wait(phase: str) -> None:
    with pytest.raises(DeadState, match=r"no more documents(?s:.*)pipelines\.logs ingest-x"):
        pipelines.follow(runs(Kube(workflows=[[item(phase, message="no more documents")]])), "ingest-x", 60)


def test_a_pod_that_cannot_start_ends_the_wait() -> None:
    waiting = {"reason": "InvalidImageName", "message": "what a name"}
    pod = {
        "metadata": {"name": "p", "annotations": {}},
        "status": {"containerStatuses": [{"name": "main", "state": {"waiting": waiting}}]},
    }
    with pytest.raises(DeadState):
        pipelines.follow(runs(Kube(workflows=[[item("Running")]], pods=[pod])), "ingest-x", 60)


def test_a_run_that_was_deleted_is_not_waited_for() -> None:
    with pytest.raises(PreconditionMissing, match="deleted"):
        pipelines.follow(runs(Kube(workflows=[[]])), "ingest-x", 60)


def test_logs_come_from_pods_and_else_from_what_was_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = {"/rehearsal-chi-uc-argo/two": b"kept\n"}

    @contextmanager
    def opened(_site: object, entry: str) -> Iterator[object]:
        assert entry == "s3-argo"
        yield SimpleNamespace(get=kept.get)

    monkeypatch.setattr(gateway, "opened", opened)
    there = {"metadata": {"name": "pod1", "annotations": {workflows.NODE: "ingest-x-1"}}}
    found = workflows.parse(
        item(
            "Failed", node(1, "Failed"), node(2, "Failed", log="two"), node(3, "Failed", log="three"), node(4, "Error")
        )
    )
    rows = pipelines._read(runs(Kube(pods=[there])), found)
    assert [(row["source"], row["text"]) for row in rows] == [
        ("pod", "from the pod\n"),
        ("archive", "kept\n"),
        ("none was kept", ""),
        ("none was kept", ""),
    ]


def test_the_archive_is_asked_for_one_by_name_without_putting_the_name_into_the_statement() -> None:
    kube = Kube(archive=[item("Succeeded", name="old")])
    found = runs(kube).archived("o'ld")
    words, sql = kube.ran[0]
    assert [(one.name, one.archived) for one in found] == [("old", True)]
    assert "name=o'ld" in words
    assert sql == pipelines.ONE


def test_the_list_is_a_table() -> None:
    rows = [
        Workflow("ingest-x", "u", "ingest", "Running", "2026-11-25T10:00:00Z"),
        Workflow(
            "ask-y",
            "v",
            "ask",
            "Failed",
            "2026-11-25T09:00:00Z",
            finished="2026-11-25T09:01:05Z",
            message="exit code 2",
            archived=True,
        ),
    ]
    lines = pipelines.table(rows, NOW).splitlines()
    assert lines[1].split() == ["ingest-x", "Running", "2026-11-25T10:00:00Z", "30", "s"]
    assert lines[2].split(maxsplit=5)[3:] == ["65", "s", "exit code 2 (archive)"]
