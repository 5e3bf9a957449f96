"""Argo Workflows: one real workflow of one pod, in and out through S3, kept in PostgreSQL, then all of it removed.

It reads an object that the check has put into the bucket and a parameter, and makes another object and a parameter.
Everything it leaves is looked for another way: the bucket through a signed URL, the archive through SQL.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from secrets import token_hex

import pytest

from provision import gateway, pipelines, workflows
from provision.gateway import Gateway
from provision.pipelines import ARCHIVE, KEY, KIND, PSQL, Runs
from provision.settings import Settings
from provision.site import Site
from provision.wait import wait_until
from provision.workflows import Workflow

NAMESPACE = "argo"
MARK = "tandem-verify"
IMAGE = "docker.io/library/busybox:1.35.0"
TEXT = "written before the workflow began\n"
SCRIPT = """
tr a-z A-Z < /work/given > /work/made
echo "$1" >> /work/made
wc -c < /work/made | tr -d '\\n' > /work/size
echo "said $1"
"""
ARCHIVED = f"SELECT phase FROM argo_archived_workflows WHERE name = :'name' AND name LIKE '{MARK}-%';"
FORGET = f"DELETE FROM argo_archived_workflows WHERE name LIKE '{MARK}-%';"


@dataclass(frozen=True)
class Finished:
    """The workflow at its end. word: what it was given. store: the bucket, another way in."""

    runs: Runs
    workflow: Workflow
    word: str
    store: Gateway
    bucket: str

    @property
    def made(self) -> bytes:
        """What it must have written."""
        return f"{TEXT.upper()}{self.word}\n".encode()


@pytest.fixture(scope="module")
def finished(both: tuple[Site, Site], settings: Settings, budget: Callable[[str], float]) -> Iterator[Finished]:
    """Run it, and remove every trace."""
    site, word, bucket = both[0], token_hex(8), f"/{settings.name(settings.store_site, 'argo')}"
    runs, given, deadline_s = Runs(site, NAMESPACE), f"{MARK}/{word}", budget("workflows.run_deadline_s")
    with ExitStack() as stack:
        store = stack.enter_context(gateway.opened(site, KEY))
        stack.callback(store.delete, f"{bucket}/{given}")
        store.put(f"{bucket}/{given}", TEXT.encode())
        stack.callback(_sql, site, FORGET, "")
        stack.callback(site.kube.run, "delete", KIND, "-n", NAMESPACE, "-l", MARK, "--ignore-not-found")
        seen = pipelines.follow(runs, _create(site, given, word, deadline_s), deadline_s)
        for step in seen.steps:
            stack.callback(store.delete, f"{bucket}/{step.log}")
            stack.callback(store.delete, f"{bucket}/{_beside(step.log, 'made')}")
        yield Finished(runs, seen, word, store, bucket)


def test_a_workflow_succeeds(finished: Finished, figure: Callable[[str], None]) -> None:
    """An object and a parameter in, an object and a parameter out; the parameter is right."""
    workflow = finished.workflow
    figure(f"{workflow.seconds(datetime.now(UTC)):.0f} s, {len(workflow.steps)} pod")
    assert workflow.outputs == {"size": str(len(finished.made))}


def test_its_artifact_and_its_log_are_in_the_bucket(finished: Finished) -> None:
    """Read with a signed URL, not through Argo."""
    (step,) = finished.workflow.steps
    assert step.log
    assert finished.store.get(f"{finished.bucket}/{_beside(step.log, 'made')}") == finished.made
    assert finished.store.get(f"{finished.bucket}/{step.log}") == f"said {finished.word}\n".encode()


def test_the_archive_in_postgresql_has_it(finished: Finished, budget: Callable[[str], float]) -> None:
    """Written once a workflow is over."""
    site, name = finished.runs.site, finished.workflow.name
    wait_until(
        f"workflow {name}: archived",
        lambda: _sql(site, ARCHIVED, name),
        lambda phase: phase == "Succeeded",
        lambda phase: phase in workflows.DEAD,
        deadline_s=budget("workflows.archive_deadline_s"),
        every_s=0.5,
    )
    assert [one.name for one in finished.runs.archived(name)] == [name]


def _create(site: Site, given: str, word: str, deadline_s: float) -> str:
    made = site.kube.run("create", "-f", "-", "-o", "name", stdin=json.dumps(_workflow(given, word, deadline_s)))
    return made.stdout.strip().rpartition("/")[2]


def _workflow(given: str, word: str, deadline_s: float) -> dict[str, object]:
    main = {
        "name": "main",
        "inputs": {"artifacts": [{"name": "given", "path": "/work/given", "s3": {"key": given}}]},
        "container": {
            "image": IMAGE,
            "command": ["sh", "-euc", SCRIPT, "main", "{{workflow.parameters.word}}"],
            "volumeMounts": [{"name": "work", "mountPath": "/work"}],
        },
        "outputs": {
            "parameters": [{"name": "size", "globalName": "size", "valueFrom": {"path": "/work/size"}}],
            "artifacts": [{"name": "made", "path": "/work/made", "archive": {"none": {}}}],
        },
    }
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"generateName": f"{MARK}-", "namespace": NAMESPACE, "labels": {MARK: "true"}},
        "spec": {
            "entrypoint": "main",
            "activeDeadlineSeconds": int(deadline_s),
            "arguments": {"parameters": [{"name": "word", "value": word}]},
            "volumes": [{"name": "work", "emptyDir": {}}],
            "templates": [main],
        },
    }


def _beside(key: str, name: str) -> str:
    """Another object of the same pod."""
    return f"{key.rpartition('/')[0]}/{name}"


def _sql(site: Site, sql: str, name: str) -> str:
    return site.kube.run(*ARCHIVE, *PSQL, "-v", f"name={name}", stdin=sql).stdout.strip()
