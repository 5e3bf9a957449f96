"""Who reads which Secret, by what the API says of pods; which changes bring the platform to an entry's new value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from provision import appsecrets, following, releases, rotation
from provision.appsecrets import Seen, WantedSecret
from provision.errors import SettingsError, UsageError
from provision.following import Follower, Keeper, Reader, Table
from provision.settings import load
from provision.step import Change

REHEARSAL = load("rehearsal")
BORN = "2026-11-24T12:00:00Z"


def pod(owner: str, spec: Any, *, born: str = BORN, phase: str = "Running", **meta: Any) -> Any:
    kind, _, name = owner.partition("/")
    owners = [{"kind": kind, "name": name, "controller": True}] if owner else []
    labels = {"pod-template-hash": "abc12"} if kind == "ReplicaSet" else {}
    told = {"namespace": "ns", "creationTimestamp": born, "ownerReferences": owners, "labels": labels, **meta}
    return {"metadata": told, "spec": spec, "status": {"phase": phase}}


def env(name: str) -> Any:
    return {"containers": [{"env": [{"name": "X", "valueFrom": {"secretKeyRef": {"name": name, "key": "k"}}}]}]}


@pytest.mark.parametrize(
    "spec",
    [
        env("it"),
        {"initContainers": [{"envFrom": [{"secretRef": {"name": "it"}}]}]},
        {"volumes": [{"name": "v", "secret": {"secretName": "it"}}]},
        {
            "volumes": [
                {"name": "v", "projected": {"sources": [{"secret": {"name": "it"}}, {"configMap": {"name": "no"}}]}}
            ]
        },
        {"volumes": [{"name": "v", "csi": {"driver": "d", "nodePublishSecretRef": {"name": "it"}}}]},
    ],
)
def test_a_pod_names_its_secrets_in_many_ways(spec: Any) -> None:
    assert list(following.mentioned(spec)) == ["it"]


def test_what_it_pulls_with_is_not_what_it_reads() -> None:
    assert list(following.mentioned({"imagePullSecrets": [{"name": "registry"}], "containers": []})) == []


@pytest.mark.parametrize(
    ("owner", "workload"),
    [
        ("ReplicaSet/web-abc12", "deployment/web"),
        ("StatefulSet/db", "statefulset/db"),
        ("DaemonSet/agent", "daemonset/agent"),
        ("RayCluster/ray", "raycluster/ray"),
        ("Job/once", ""),
        ("", ""),
    ],
)
def test_a_pod_comes_back_by_its_owner(owner: str, workload: str) -> None:
    assert following.owner(pod(owner, {})) == workload


def test_a_workload_is_as_old_as_its_oldest_pod() -> None:
    pods = [pod("StatefulSet/db", env("a"), born="2026-11-24T13:00:00Z"), pod("StatefulSet/db", env("b"), born=BORN)]
    (found,) = following.followers(pods, Table())
    assert found.started == BORN


def test_pods_that_are_over_or_leaving_read_nothing_any_more() -> None:
    leaving = pod("StatefulSet/db", env("a"), deletionTimestamp=BORN)
    assert (
        following.followers([leaving, pod("Job/x", env("a")), pod("StatefulSet/y", env("a"), phase="Failed")], Table())
        == ()
    )


def test_a_reader_of_the_table_needs_no_mention() -> None:
    rows = Table(reader=(Reader(namespace="ns", workload="deployment/web", secrets=("a",)),))
    found = following.followers([pod("ReplicaSet/web-abc12", {})], rows)
    assert found == (Follower("ns", "deployment/web", BORN, ("a",)),)


def test_who_has_a_copy_starts_anew_before_the_others() -> None:
    """It is a keeper of one Secret and a mere reader of another: what counts is the one that changes."""
    keepers = (
        Keeper(namespace="s3", workload="deployment/s3", secrets=("s3-*",)),
        Keeper(namespace="mlflow", workload="deployment/mlflow", secrets=("mlflow",)),
    )
    readers = [
        Follower("mlflow", "deployment/mlflow", BORN, ("mlflow", "s3-mlflow")),
        Follower("s3", "deployment/s3", BORN, ("s3-mlflow",)),
    ]
    wanted = [WantedSecret(one.namespace, "s3-mlflow", ("access",)) for one in readers]
    seen = {secret.path: Seen(secret.path, "Opaque", ("access",), "00") for secret in wanted}
    found = following.changes(wanted, set(seen), seen, readers, Table(keeper=keepers))
    assert [change.what for change in found] == ["restart s3/deployment/s3", "restart mlflow/deployment/mlflow"]


def test_a_change_that_is_due_belongs_to_its_entry() -> None:
    restart = Change("run", "restart ns/deployment/web", "", {"reads": "other postgresql-mlflow"})
    assert rotation.concerns(restart, "postgresql-mlflow")
    assert not rotation.concerns(restart, "postgresql")
    assert rotation.concerns(Change("run", "keeper data/postgresql", ""), "postgresql")
    assert rotation.concerns(Change("update", "secret data/postgresql", ""), "postgresql")
    assert not rotation.concerns(Change("create", "secret data/postgresql", "not there"), "postgresql")


def test_only_what_is_made_here_is_rotated() -> None:
    assert rotation.rotatable(REHEARSAL, "postgresql").kind == "passwords"
    with pytest.raises(UsageError) as caught:
        rotation.rotatable(REHEARSAL, "registry")
    assert "registry.json" in caught.value.why
    assert "nodes --to secrets" in caught.value.next
    with pytest.raises(UsageError, match="no secret 'nothing'"):
        rotation.rotatable(REHEARSAL, "nothing")


def test_the_table_speaks_of_secrets_and_namespaces_that_exist() -> None:
    rows = following.table(REHEARSAL)
    both = (REHEARSAL, load("chameleon", platform="case"))
    wanted = [secret for settings in both for site in settings.sites for secret in appsecrets.wanted(settings, site)]
    names, spaces = {secret.name for secret in wanted}, {release.namespace for release in releases.every(REHEARSAL)}
    assert [row for row in (*rows.keeper, *rows.reader) if row.namespace not in spaces] == []
    assert [name for row in rows.reader for name in row.secrets if name not in names] == []
    assert [row for row in rows.keeper if not any(row in rows.keepers(name) for name in names)] == []
    assert [name for name in names if len({row.workload for row in rows.keepers(name)}) < len(rows.keepers(name))] == []


def test_a_wrong_row_is_named(tmp_path: Path) -> None:
    (tmp_path / "rotation.toml").write_text('[[keeper]]\nsecret = "x"\n')
    with pytest.raises(SettingsError, match=r"rotation\.toml -> expected rows"):
        following.table(REHEARSAL.model_copy(update={"apps": str(tmp_path)}))
