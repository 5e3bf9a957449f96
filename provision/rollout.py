"""Bringing one release up: its needs first, what a killed run left cleared, then the wait for its pods.

A release that Argo CD owns is brought up by Argo CD; here it is only asked to look again, and awaited.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from provision import applications, crds, helm, readiness, releases, values
from provision.applications import Application
from provision.errors import CommandFailed, DeadlineExceeded, DeadState, PreconditionMissing
from provision.readiness import Patience, Progress
from provision.releases import Release
from provision.site import Site
from provision.wait import never, wait_until

T = TypeVar("T")
SEEN_S = 60.0
STUCK = ("pending-install", "pending-upgrade", "pending-rollback")


@dataclass(frozen=True, slots=True)
class Seen:
    """What a site's cluster says of its releases. records: Helm's, ours or wanted, those needed by others first.

    faults: of each release that is there, '' for none. claims: volume claims in their namespaces, `namespace/name`.
    """

    records: Mapping[str, helm.Record]
    applications: Mapping[str, Application]
    faults: Mapping[str, str]
    claims: tuple[str, ...]


def look(site: Site) -> Seen:
    """Helm's records, the objects they name, Argo CD's applications, and what `ready` names of each release."""
    here = {release.name: release for release in releases.at(site.name, site.settings)}
    found = {
        name: record
        for name, record in helm.records(site.kube.get("secrets", selector=helm.RECORDS)).items()
        if record.inputs or name in here
    }
    order = [name for name in here if name in found] + [name for name in found if name not in here]
    seen = applications.read(site)
    spaces = {release.namespace for release in here.values()} | {record.namespace for record in found.values()}
    claims = [item["metadata"] for item in site.kube.get("persistentvolumeclaims")]
    return Seen(
        records={name: found[name] for name in order},
        applications=seen,
        faults=_faults(site, [release for name, release in here.items() if name in found or name in seen], found, seen),
        claims=tuple(f"{claim['namespace']}/{claim['name']}" for claim in claims if claim["namespace"] in spaces),
    )


def _faults(
    site: Site,
    wanted: Sequence[Release],
    records: Mapping[str, helm.Record],
    seen: Mapping[str, Application],
) -> Mapping[str, str]:
    """Release -> what is missing or not ready. That nobody heals drift is the fault of the release that serves."""
    kinds = dict.fromkeys(kind for record in records.values() for kind in record.kinds)
    made = site.kube.get(",".join(kinds), selector=helm.MADE) if kinds else []
    known = objects(site, wanted)
    faults: dict[str, str] = {}
    for release in wanted:
        gone = helm.missing(records[release.name], made) if release.name in records else []
        paused = release.serves and applications.ROOT in seen and not seen[applications.ROOT].syncs
        told = [*(f"{what} is not there" for what in gone), *readiness.progress(release, known).faults]
        faults[release.name] = "; ".join(dict.fromkeys([*told, *(["Argo CD heals nothing"] if paused else [])]))
    return faults


def install(site: Site, release: Release) -> None:
    """Bring a release to this checkout's inputs, after what it needs is ready. Does not wait for its own pods."""
    if release.source and release.digest in {"", "unresolved"}:
        raise PreconditionMissing(f"release {release.name}: its chart is not pinned", next="invoke provision.pin")
    for need in release.needs:
        await_ready(site, releases.named(need, site.name, site.settings))
    _free(site, release)
    owned = [one for one in releases.at(site.name, site.settings) if one.owner == "argocd"] if release.serves else []
    for definitions in (definitions for one in (release, *owned) for definitions in one.crds):
        crds.apply(site, definitions)
    helm.deploy(site.kube.connect(), release, values.of(release, site.settings), values.inputs(release, site.settings))
    if release.serves:
        applications.resume(site)


def bring(site: Site, what: str, release: Release) -> None:
    """One change of a release: `release` installs it, `owner` hands it to Argo CD, `ready` waits for it."""
    if what == "release":
        install(site, release)
    elif what == "owner":
        hand_over(site, release)
    elif release.owner == "helm":
        await_ready(site, release)
    else:
        await_synced(site, release)


def hand_over(site: Site, release: Release) -> None:
    """Helm forgets a release; its objects stay as they are, and Argo CD makes them its own at its next sync."""
    records = site.kube.get("secrets", namespace=release.namespace, selector=f"{helm.RECORDS},name={release.name}")
    for record in records:
        site.kube.run("delete", "secret", record["metadata"]["name"], "-n", release.namespace, "--ignore-not-found")


def await_synced(site: Site, release: Release) -> None:
    """Wait until Argo CD says that a release is as this checkout wants it and healthy, then for its own conditions."""
    for definitions in release.crds:
        crds.apply(site, definitions)
    commit = values.commit_at(release.site, site.settings)
    applications.refresh(site, release.name)
    wait_until(
        f"{release.name} at {site.name}: Argo CD",
        heard(applications.Watch(site, release.name).look, _silent),
        lambda seen: not seen.fault(commit),
        _Impatience(site, release).is_over,
        deadline_s=release.deadline_s,
        every_s=readiness.EVERY_S,
        next=f"kubectl --kubeconfig {site.kube.kubeconfig} describe application {release.name} -n argocd",
    )
    await_ready(site, release)


def await_ready(site: Site, release: Release) -> None:
    """Wait for `ready`; a pod that cannot start ends the wait early, with its reason."""
    what, again = f"{release.name} at {site.name}", f"invoke provision.charts --site {site.name}"
    items = wait_until(
        f"{what}: taken note of",
        heard(lambda: _Items(_items(site, release)), _Unseen),
        lambda found: not isinstance(found, _Unseen) and readiness.is_seen(release, found),
        never,
        deadline_s=SEEN_S * site.settings.patience,
        next=again,
    )
    for pod in readiness.stuck(release, items):
        site.kube.run("delete", "pod", pod, "-n", release.namespace, "--ignore-not-found", "--wait=false")
    wait_until(
        what,
        _progress(site, release),
        lambda state: not state.faults,
        Patience().is_over,
        deadline_s=release.deadline_s,
        every_s=readiness.EVERY_S,
        next=f"kubectl --kubeconfig {site.kube.kubeconfig} describe pods -n {release.namespace}",
    )


def heard(look: Callable[[], T], silent: Callable[[str], T]) -> Callable[[], T]:
    """A look at a cluster that may be too busy to answer: within a wait that is one more state, not the end of it."""

    def once() -> T:
        try:
            return look()
        except (CommandFailed, DeadlineExceeded, PreconditionMissing) as error:
            return silent(f"the cluster does not answer ({error.what}: {error.why})")

    return once


def _silent(why: str) -> Application:
    return replace(applications.ABSENT, sync="Unknown", message=why)


def _progress(site: Site, release: Release) -> Callable[[], Progress]:
    return heard(lambda: readiness.progress(release, _items(site, release)), lambda why: Progress((why,)))


def objects(site: Site, wanted: Sequence[Release]) -> list[readiness.Item]:
    """What the `ready` of these releases names, of all namespaces. Kinds one by one: a cluster may not know one yet."""
    others = dict.fromkeys(
        ready.kind for release in wanted for ready in release.ready if ready.kind not in readiness.WORKLOADS
    )
    return [
        *site.kube.get(",".join(readiness.WORKLOADS)),
        *(item for kind in others for item in site.kube.get(kind)),
    ]


def _items(site: Site, release: Release) -> list[readiness.Item]:
    """The same of one release, with the pods of its namespace."""
    return [*objects(site, [release]), *site.kube.get("Pod", namespace=release.namespace)]


@dataclass
class _Impatience:
    """Argo CD tries for ever; a pod that cannot start ends the wait all the same."""

    site: Site
    release: Release
    patience: Patience = field(default_factory=Patience)

    def is_over(self, _seen: Application) -> bool:
        """Whether a pod of the release has been in trouble for too long."""
        state = _progress(self.site, self.release)()
        if self.patience.is_over(state):
            raise DeadState(
                f"{self.release.name} at {self.site.name}: cannot start",
                why=repr(state),
                next=f"kubectl --kubeconfig {self.site.kube.kubeconfig} describe pods -n {self.release.namespace}",
            )
        return False


class _Items(list[readiness.Item]):
    """Objects that say how many they are instead of everything about themselves."""

    def __repr__(self) -> str:
        return f"{len(self)} objects"


class _Unseen(_Items):
    """None of them, and why."""

    def __init__(self, why: str) -> None:
        super().__init__()
        self.why = why

    def __repr__(self) -> str:
        return self.why


def _free(site: Site, release: Release) -> None:
    """Drop the record that a killed Helm left pending: the next install adopts its objects, whose pods live on."""
    record = helm.records(site.kube.get("secrets", selector=helm.RECORDS)).get(release.name)
    if record and record.status in STUCK:
        site.kube.run("delete", "secret", record.secret, "-n", record.namespace)
    elif record and record.status == "uninstalling":
        helm.uninstall(site.kube.connect(), record.name, record.namespace)
