"""The applications of a site, as Helm releases of apps/, each ready to be used.

Meaning: every apps/<name>/chart.toml of the site is a deployed release with the inputs of this checkout, all of its
    objects are there, and the conditions in `ready` hold.
Look: `helm list -A` and `kubectl get pods -A` with the kubeconfig in `.state/<env>/`.
Recover: `invoke provision.charts --site S` installs what is missing, takes back what was edited, deleted or scaled
    away, and clears a release that a killed run left pending. A pod that cannot start is named with its reason.
Undo: releases go in reverse order; volume claims are data and stay unless told otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from provision import helm, readiness, releases, rollout
from provision.helm import Record
from provision.settings import Settings
from provision.site import Site
from provision.step import Change

NAME = "charts"
NEEDS = ("secrets",)
JOINS = False
DEADLINE_S = 900
SETTLE_S = 30
CHECKS = ("check_charts", "check_storage_class", "check_onnx", "check_gpu")

CURRENT = "current"


@dataclass(frozen=True)
class Want:
    """The site's releases, those needed by others first, and the hash of what each is installed from."""

    releases: tuple[str, ...]
    inputs: Mapping[str, str]


@dataclass(frozen=True)
class Have:
    """Releases that are there. status: `current`, `other inputs`, or what Helm says of one that is not deployed.

    faults: what is missing or not ready. claims: volume claims, as `namespace/name`.
    """

    status: Mapping[str, str] = field(default_factory=dict)
    faults: Mapping[str, str] = field(default_factory=dict)
    namespaces: Mapping[str, str] = field(default_factory=dict)
    claims: tuple[str, ...] = ()


NOTHING = Have()


def want(settings: Settings, site_name: str) -> Want:
    """From apps/."""
    here = releases.at(site_name)
    return Want(
        tuple(release.name for release in here), {release.name: releases.inputs(release, settings) for release in here}
    )


def look(site: Site, want: Want) -> Have:
    """Helm's records and the claims in one call, then every object that the records name in another."""
    items = site.kube.get("secrets", selector=helm.RECORDS)
    found = {name: record for name, record in helm.records(items).items() if record.inputs or name in want.releases}
    order = [name for name in want.releases if name in found] + [name for name in found if name not in want.releases]
    kinds = dict.fromkeys(kind for record in found.values() for kind in record.kinds)
    objects = site.kube.get(",".join(kinds), selector=helm.MADE) if kinds else []
    here = {releases.named(name).namespace for name in want.releases} | {one.namespace for one in found.values()}
    claims = [item["metadata"] for item in site.kube.get("persistentvolumeclaims")]
    return Have(
        status={name: _status(found[name], want.inputs.get(name, "")) for name in order},
        faults={name: _faults(found[name], objects) for name in order if name in want.releases},
        namespaces={name: found[name].namespace for name in order},
        claims=tuple(f"{claim['namespace']}/{claim['name']}" for claim in claims if claim["namespace"] in here),
    )


def plan(want: Want, have: Have) -> Sequence[Change]:
    """What is no longer in apps/ goes; releases in order; then each that changed is awaited."""
    gone = [_deletion(name, have, "no longer in apps/") for name in have.status if name not in want.releases]
    whys = {name: _why(name, have) for name in want.releases}
    writes = [
        Change("update" if name in have.status else "create", f"release {name}", why)
        for name, why in whys.items()
        if why
    ]
    waits = [Change("run", f"ready {name}", "its release changes") for name, why in whys.items() if why]
    return [*gone, *writes, *waits]


def apply(site: Site, change: Change) -> None:
    """Install or upgrade and go on; a release's needs, and at the end each release, are awaited."""
    kind, name = change.what.split(" ", 1)
    if kind == "claim":
        namespace, _, claim = name.partition("/")
        site.kube.run("delete", "persistentvolumeclaim", claim, "-n", namespace, "--ignore-not-found", deadline_s=90.0)
    elif change.verb == "delete":
        helm.uninstall(site.kube.connect(), name, str(change.args["namespace"]))
    elif kind == "ready":
        rollout.await_ready(site, releases.named(name))
    else:
        rollout.install(site, releases.named(name))


def undo(have: Have) -> Sequence[Change]:
    """Releases in reverse order of the records, then the claims, which are data."""
    return [
        *(_deletion(name, have, "destroy") for name in reversed(list(have.status))),
        *(Change("delete", f"claim {claim}", "destroy", data=True) for claim in have.claims),
    ]


def _status(record: Record, inputs: str) -> str:
    if record.status != helm.DEPLOYED:
        return record.status
    return CURRENT if record.inputs == inputs else "other inputs"


def _faults(record: Record, objects: Sequence[readiness.Item]) -> str:
    gone = [f"{what} is not there" for what in helm.missing(record, objects)]
    return "; ".join(dict.fromkeys([*gone, *readiness.progress(releases.named(record.name), objects).faults]))


def _why(name: str, have: Have) -> str:
    status = have.status.get(name, "not there")
    return have.faults.get(name, "") if status == CURRENT else status


def _deletion(name: str, have: Have, why: str) -> Change:
    return Change("delete", f"release {name}", why, {"namespace": have.namespaces[name]})
