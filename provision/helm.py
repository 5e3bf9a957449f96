"""The door to Helm: releases are written through pyhelm3 and read from the records that Helm keeps in the cluster.

Reading the records takes one kubectl call for a whole site, where Helm would be asked once per release; they also say
which objects a release has, so that a deleted one is seen. What was installed from is in a revision's description.
"""

from __future__ import annotations

import asyncio
import gzip
import json
from base64 import b64decode
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from provision.errors import CommandFailed, DeadlineExceeded
from provision.releases import Release

RECORDS = "owner=helm"
MADE = "app.kubernetes.io/managed-by=Helm"
MARK = "tandem inputs "
HISTORY = 3
DEPLOYED = "deployed"


@dataclass(frozen=True, slots=True)
class Ref:
    """An object by kind, namespace ('' for the cluster's own) and name."""

    kind: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Record:
    """The newest revision of a release. inputs: the hash it was installed from, '' when that was not us.

    secret: where Helm keeps it. kinds: `Kind.group` of its objects, as kubectl takes them.
    """

    name: str
    namespace: str
    revision: int
    status: str
    inputs: str
    secret: str
    objects: tuple[Ref, ...]
    kinds: tuple[str, ...]


def records(secrets: Sequence[Mapping[str, Any]]) -> Mapping[str, Record]:
    """The newest revision of each release, from Helm's Secrets."""
    newest: dict[str, Record] = {}
    for item in sorted(secrets, key=lambda item: int(item["metadata"]["labels"]["version"])):
        record = _record(item)
        newest[record.name] = record
    return newest


def missing(record: Record, items: Sequence[Mapping[str, Any]]) -> list[str]:
    """Objects of a release that the cluster no longer has. items: what the cluster has of the record's kinds."""
    there = {(item["kind"], item["metadata"].get("namespace", ""), item["metadata"]["name"]) for item in items}
    return [
        f"{ref.kind} {ref.name}"
        for ref in record.objects
        if not {(ref.kind, ref.namespace or record.namespace, ref.name), (ref.kind, "", ref.name)} & there
    ]


def deploy(kubeconfig: Path, release: Release, values: Mapping[str, Any], inputs: str) -> None:
    """`helm upgrade --install`: makes what is missing, takes back what was edited. Does not wait for pods."""

    async def work(client: Any) -> None:
        chart = await client.get_chart(release.chart_ref, version=None if release.chart else release.version)
        await client.install_or_upgrade_release(
            release.name,
            chart,
            dict(values),
            namespace=release.namespace,
            create_namespace=False,
            description=f"{MARK}{inputs}",
            timeout=f"{release.deadline_s}s",
        )

    _run(kubeconfig, f"helm upgrade --install {release.name}", release.deadline_s, work)


def uninstall(kubeconfig: Path, name: str, namespace: str, *, deadline_s: int = 120) -> None:
    """Take a release away and wait until its objects are gone; silent if there is none. Volume claims stay."""

    async def work(client: Any) -> None:
        await client.uninstall_release(name, namespace=namespace, timeout=f"{deadline_s}s", wait=True)

    _run(kubeconfig, f"helm uninstall {name}", deadline_s, work)


def _run(kubeconfig: Path, what: str, deadline_s: int, work: Callable[[Any], Awaitable[None]]) -> None:
    """pyhelm3 is asynchronous and starts the helm on PATH; its errors become ours."""
    from pyhelm3 import Client
    from pyhelm3.errors import Error

    async def limited() -> None:
        client = Client(kubeconfig=kubeconfig, history_max_revisions=HISTORY)
        await asyncio.wait_for(work(client), timeout=deadline_s + 15)

    try:
        asyncio.run(limited())
    except Error as error:
        raise CommandFailed(f"{what}: exit code {error.returncode}", why=str(error).strip()[-800:]) from error
    except TimeoutError as late:
        raise DeadlineExceeded(f"{what}: not within {deadline_s} s") from late


def _record(item: Mapping[str, Any]) -> Record:
    """Helm stores gzipped JSON in base64, and the API adds its own base64."""
    told = json.loads(gzip.decompress(b64decode(b64decode(item["data"]["release"]))))
    objects = [entry for entry in yaml.safe_load_all(told.get("manifest", "")) if entry]
    description = told["info"].get("description", "")
    return Record(
        name=told["name"],
        namespace=item["metadata"]["namespace"],
        revision=int(told["version"]),
        status=told["info"]["status"],
        secret=item["metadata"]["name"],
        inputs=description.removeprefix(MARK) if description.startswith(MARK) else "",
        objects=tuple(
            Ref(entry["kind"], entry["metadata"].get("namespace", ""), entry["metadata"]["name"]) for entry in objects
        ),
        kinds=tuple(dict.fromkeys(_kind(entry) for entry in objects)),
    )


def _kind(entry: Mapping[str, Any]) -> str:
    """`Kind.version.group`, as kubectl takes it; the core group ends in a dot."""
    group, _, version = str(entry["apiVersion"]).rpartition("/")
    return f"{entry['kind']}.{version}.{group}"
