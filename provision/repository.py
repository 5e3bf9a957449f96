"""The git repository that a site's Argo CD follows: one commit, made from this checkout. Pure.

    platform/       a chart of Applications, one a release, in waves: the app of apps
    <release>/      the release's chart, with the values that this environment gives it

The same inputs give the same commit, whoever makes it and when, so its name is enough to know what is installed.
"""

from __future__ import annotations

import io
import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import yaml
from dulwich.index import commit_tree
from dulwich.object_store import MemoryObjectStore
from dulwich.objects import Blob, Commit
from dulwich.pack import write_pack_objects

from provision.releases import Release
from provision.settings import ROOT, Settings

URL = "git://git.git.svc/platform.git"
BRANCH = b"refs/heads/main"
AUTHOR = b"tandem <tandem@localhost>"
CHART = ROOT / "cluster" / "applications"
FILE_MODE = 0o100644


@dataclass(frozen=True, slots=True)
class Made:
    """A commit: its name (40 hex digits) and the bundle it can be cloned from, in base64."""

    name: str
    bundle: str


def files(releases: Sequence[tuple[Release, Mapping[str, Any]]], settings: Settings) -> Mapping[str, bytes]:
    """Path -> content of the whole tree. releases: those that Argo CD owns, with their values."""
    tree = {f"platform/{path.relative_to(CHART)}": path.read_bytes() for path in CHART.rglob("*") if path.is_file()}
    waves = wave_of([release for release, _ in releases])
    rows = [_application(release, values, waves[release.name]) for release, values in releases]
    tree["platform/values.yaml"] = _text({"applications": rows, "platform": settings.platform, "repository": URL})
    for release, values in releases:
        if release.chart:
            chart = release.folder / release.chart
            found = (path for path in chart.rglob("*") if path.is_file())
            tree |= {f"{release.name}/{path.relative_to(chart)}": path.read_bytes() for path in found}
            tree[f"{release.name}/values.yaml"] = _text(values)
    return tree


def wave_of(releases: Sequence[Release]) -> Mapping[str, int]:
    """Release -> sync wave: 0, or one more than the latest of what it needs. Needs outside the list stand already."""
    waves: dict[str, int] = {}
    for release in releases:  # those needed by others come first
        waves[release.name] = max((waves[need] + 1 for need in release.needs if need in waves), default=0)
    return waves


def commit(tree: Mapping[str, bytes]) -> Made:
    """One commit without a parent, at a fixed time."""
    return _commit(tuple(sorted(tree.items())))


@lru_cache(maxsize=8)
def _commit(tree: tuple[tuple[str, bytes], ...]) -> Made:
    store = MemoryObjectStore()
    rows = []
    for path, content in tree:
        blob = Blob.from_string(content)
        store.add_object(blob)
        rows.append((path.encode(), blob.id, FILE_MODE))
    made = Commit()
    made.tree = commit_tree(store, rows)
    made.author = made.committer = AUTHOR
    made.author_time = made.commit_time = 0
    made.author_timezone = made.commit_timezone = 0
    made.message = b"What this checkout wants of this site\n"
    store.add_object(made)
    return Made(made.id.decode(), b64encode(_bundle(made.id, store)).decode())


def _bundle(head: bytes, store: MemoryObjectStore) -> bytes:
    """A version 2 bundle of one branch. The library's own packs objects in an order that differs from run to run."""
    out = io.BytesIO(b"# v2 git bundle\n%s %s\n\n" % (head, BRANCH))
    out.seek(0, io.SEEK_END)
    write_pack_objects(out, [store[name] for name in sorted(store)], store.object_format, deltify=False)
    return out.getvalue()


def _application(release: Release, values: Mapping[str, Any], wave: int) -> Mapping[str, Any]:
    """One row of the app of apps. An upstream chart gets its values in the row, ours has them beside it."""
    row = {"name": release.name, "namespace": release.namespace, "wave": wave}
    if release.chart:
        return row
    return {**row, "chart": {"source": release.source, "version": release.version, "values": dict(values)}}


def _text(tree: Mapping[str, Any]) -> bytes:
    """YAML by way of JSON: plain types only, keys in order."""
    return yaml.safe_dump(json.loads(json.dumps(tree, sort_keys=True))).encode()
