"""Bringing one release up: its needs first, what a killed run left cleared, then the wait for its pods."""

from __future__ import annotations

from provision import helm, readiness, releases
from provision.errors import PreconditionMissing
from provision.readiness import Patience
from provision.releases import Release
from provision.site import Site
from provision.wait import never, wait_until

SEEN_S = 60.0
STUCK = ("pending-install", "pending-upgrade", "pending-rollback")


def install(site: Site, release: Release) -> None:
    """Bring a release to this checkout's inputs, after what it needs is ready. Does not wait for its own pods."""
    if release.source and release.digest in {"", "unresolved"}:
        raise PreconditionMissing(f"release {release.name}: its chart is not pinned", next="invoke provision.pin")
    for need in release.needs:
        await_ready(site, releases.named(need))
    _free(site, release)
    helm.deploy(
        site.kube.connect(), release, releases.values(release, site.settings), releases.inputs(release, site.settings)
    )


def await_ready(site: Site, release: Release) -> None:
    """Wait for `ready`; a pod that cannot start ends the wait early, with its reason."""
    what, again = f"{release.name} at {site.name}", f"invoke provision.charts --site {site.name}"
    items = wait_until(
        f"{what}: taken note of",
        lambda: _Items(_items(site, release)),
        lambda found: readiness.is_seen(release, found),
        never,
        deadline_s=SEEN_S,
        next=again,
    )
    for pod in readiness.stuck(release, items):
        site.kube.run("delete", "pod", pod, "-n", release.namespace, "--ignore-not-found", "--wait=false")
    wait_until(
        what,
        lambda: readiness.progress(release, _items(site, release)),
        lambda state: not state.faults,
        Patience().is_over,
        deadline_s=release.deadline_s,
        every_s=readiness.EVERY_S,
        next=f"kubectl --kubeconfig {site.kube.kubeconfig} describe pods -n {release.namespace}",
    )


def _items(site: Site, release: Release) -> list[readiness.Item]:
    """Workloads and pods of the release's namespace, and what else `ready` names."""
    kinds = (*readiness.WORKLOADS, "Pod")
    others = dict.fromkeys(ready.kind for ready in release.ready if ready.kind not in kinds)
    return [
        *site.kube.get(",".join(kinds), namespace=release.namespace),
        *(item for kind in others for item in site.kube.get(kind)),
    ]


class _Items(list[readiness.Item]):
    """Objects that say how many they are instead of everything about themselves."""

    def __repr__(self) -> str:
        return f"{len(self)} objects"


def _free(site: Site, release: Release) -> None:
    """Drop the record that a killed Helm left pending: the next install adopts its objects, whose pods live on."""
    record = helm.records(site.kube.get("secrets", selector=helm.RECORDS)).get(release.name)
    if record and record.status in STUCK:
        site.kube.run("delete", "secret", record.secret, "-n", record.namespace)
    elif record and record.status == "uninstalling":
        helm.uninstall(site.kube.connect(), record.name, record.namespace)
