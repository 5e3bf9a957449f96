"""Who reads a Secret at start, who keeps a copy of it, and what has to happen when its value changes. Pure.

A Secret carries the time at which its value last changed: what reads it and is older is behind. So a run that was
killed anywhere hides nothing: the next look finds the rest. What no pod's definition tells is in apps/rotation.toml.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from provision.appsecrets import Seen, WantedSecret
from provision.errors import SettingsError
from provision.settings import Settings
from provision.step import Change

TABLE = "rotation.toml"
# What brings back a pod that was taken away; pods of anything else (a Job, a Workflow) end by themselves.
CONTROLLERS = {
    "ReplicaSet": "deployment",
    "StatefulSet": "statefulset",
    "DaemonSet": "daemonset",
    "RayCluster": "raycluster",
}
REFERENCES = ("secretKeyRef", "secretRef", "secret", "nodePublishSecretRef")
ENDED = {"Succeeded", "Failed"}


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    namespace: str
    workload: str
    secrets: tuple[str, ...]


class Reader(_Row):
    """A workload that reads Secrets through the API. secrets: names."""


class Keeper(_Row):
    """A workload with a copy of its own. secrets: patterns. command: gives it the new value; () restarts it."""

    command: tuple[str, ...] = ()


class Table(BaseModel):
    """apps/rotation.toml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    keeper: tuple[Keeper, ...] = ()
    reader: tuple[Reader, ...] = ()

    def keepers(self, secret: str) -> tuple[Keeper, ...]:
        """Who has a copy of a Secret."""
        return tuple(row for row in self.keeper if any(fnmatchcase(secret, pattern) for pattern in row.secrets))


@dataclass(frozen=True, slots=True)
class Follower:
    """A workload that reads Secrets of its namespace. started: its oldest pod's birth, as the API writes times."""

    namespace: str
    workload: str
    started: str
    secrets: tuple[str, ...]

    @property
    def path(self) -> str:
        """`namespace/kind/name`."""
        return f"{self.namespace}/{self.workload}"


def table(settings: Settings) -> Table:
    """What the applications' folder says of rotation. Raises SettingsError."""
    path = settings.apps_dir / TABLE
    try:
        return Table.model_validate(tomllib.loads(path.read_text()))
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise SettingsError(f"{settings.apps}/{TABLE} -> expected rows of keeper and reader", why=str(error)) from error


def followers(pods: Sequence[Mapping[str, Any]], rows: Table) -> tuple[Follower, ...]:
    """The workloads whose pods name Secrets, or that the table names. Pods that end by themselves are left alone."""
    found: dict[tuple[str, str], Follower] = {}
    for pod in pods:
        workload = owner(pod)
        if not workload or pod["status"].get("phase") in ENDED or "deletionTimestamp" in pod["metadata"]:
            continue
        namespace, born = pod["metadata"]["namespace"], pod["metadata"]["creationTimestamp"]
        told = [row for row in rows.reader if (row.namespace, row.workload) == (namespace, workload)]
        names = {*mentioned(pod["spec"]), *(name for row in told for name in row.secrets)}
        known = found.get((namespace, workload))
        started = min(born, known.started) if known else born
        if names:
            found[namespace, workload] = Follower(namespace, workload, started, tuple(sorted(names)))
    return tuple(found[key] for key in sorted(found))


def owner(pod: Mapping[str, Any]) -> str:
    """`deployment/name` of what brings the pod back; '' where nothing does."""
    for reference in pod["metadata"].get("ownerReferences", ()):
        kind = CONTROLLERS.get(reference["kind"], "")
        if reference.get("controller") and kind:
            suffix = f"-{pod['metadata'].get('labels', {}).get('pod-template-hash', '')}"
            return f"{kind}/{reference['name'].removesuffix(suffix)}"
    return ""


def mentioned(tree: Any) -> Iterator[str]:
    """Every Secret that a pod's definition names, but for pulling images."""
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            if key in REFERENCES and isinstance(value, Mapping):
                yield from (str(value[name]) for name in ("name", "secretName") if name in value)
            else:
                yield from mentioned(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from mentioned(value)


def changes(
    wanted: Sequence[WantedSecret],
    changed: AbstractSet[str],
    seen: Mapping[str, Seen],
    readers: Sequence[Follower],
    rows: Table,
) -> list[Change]:
    """What a site's Secrets take: keepers told first, then keepers and readers restarted that are behind.

    changed: paths of Secrets that get another value in this plan. seen: Secrets that are there, by path.
    """
    tell, stale = [], {path for path in changed if path in seen}
    for secret in wanted:
        for keeper in rows.keepers(secret.name):
            untold = secret.path in stale or is_untold(seen.get(secret.path))
            if keeper.command and keeper.namespace == secret.namespace and untold:
                tell.append(Change("run", f"keeper {secret.path}", f"{keeper.workload} has the old value"))
    restarts = [(reader, names) for reader in readers if (names := _behind(reader, stale, seen, rows))]
    restarts.sort(key=lambda found: not _keeps(found[0], found[1], rows))
    return [
        *tell,
        *(
            Change(
                "run",
                f"restart {reader.path}",
                f"read {', '.join(names)} before it changed",
                {"reads": " ".join(names)},
            )
            for reader, names in restarts
        ),
    ]


def is_untold(secret: Seen | None) -> bool:
    """Whether a Secret's value has changed since its keeper was last told."""
    return secret is not None and bool(secret.since) and secret.told != secret.fingerprint


def _behind(reader: Follower, stale: AbstractSet[str], seen: Mapping[str, Seen], rows: Table) -> Sequence[str]:
    """The Secrets that a workload is behind. Who is told by a command need not start anew."""
    behind = []
    for name in reader.secrets:
        path = f"{reader.namespace}/{name}"
        told = any(keeper.command and _is(keeper, reader) for keeper in rows.keepers(name))
        if not told and path in seen and (path in stale or reader.started < seen[path].since):
            behind.append(name)
    return behind


def _keeps(reader: Follower, names: Sequence[str], rows: Table) -> bool:
    """Whether a workload has a copy that others need of one of these Secrets."""
    return any(_is(keeper, reader) for name in names for keeper in rows.keepers(name))


def _is(row: _Row, reader: Follower) -> bool:
    return (row.namespace, row.workload) == (reader.namespace, reader.workload)
