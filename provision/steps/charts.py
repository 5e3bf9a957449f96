"""The applications of a site, each ready to be used: the base as Helm releases, everything else kept by Argo CD.

Meaning: every apps/<name>/chart.toml of the site is as this checkout wants it. The base (`owner = "helm"`) are deployed
    releases with the inputs of this checkout; the rest are Applications of Argo CD, synced to the commit that release
    `git` serves, and healthy. No object is missing and the conditions in `ready` hold.
Look: `kubectl get applications -n argocd`, `helm list -A`, `kubectl get pods -A`; kubeconfig in `.state/<env>/`.
Recover: `invoke provision.charts --site S` repairs the base first, Argo CD itself included, then waits for the rest,
    which heals itself. A pod that cannot start is named with its reason.
Undo: the applications go, then the base in reverse order; volume claims are data and stay unless told otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from provision import applications, helm, releases, rollout, values
from provision.settings import Settings
from provision.site import Site
from provision.step import Change

NAME = "charts"
NEEDS = ("secrets",)
JOINS = False
DEADLINE_S = 1800
SETTLE_S = 60
APPLICATIONS = "postgresql mlflow label_studio jupyter monitoring argocd workflows ray"
AREAS = f"charts capacity storage_class object_store onnx gpu {APPLICATIONS}"
CHECKS = tuple(f"check_{area}" for area in AREAS.split())

CURRENT, ABSENT = "current", "not there"


@dataclass(frozen=True)
class Want:
    """base, kept: releases of Helm and of Argo CD, those needed by others first. inputs: what each of the base is
    installed from, as a hash. commit: what Argo CD is to follow, '' where nothing serves it."""

    base: tuple[str, ...]
    kept: tuple[str, ...]
    inputs: Mapping[str, str]
    commit: str = ""


@dataclass(frozen=True)
class Have:
    """status: of Helm's releases `current`, `other inputs`, or what Helm says. applications: what is wrong with each of
    Argo CD's, '' for nothing. faults: what is missing or not ready. claims: volume claims, as `namespace/name`.
    """

    status: Mapping[str, str] = field(default_factory=dict)
    applications: Mapping[str, str] = field(default_factory=dict)
    faults: Mapping[str, str] = field(default_factory=dict)
    namespaces: Mapping[str, str] = field(default_factory=dict)
    claims: tuple[str, ...] = ()


NOTHING = Have()


def want(settings: Settings, site_name: str) -> Want:
    """From apps/."""
    here = releases.at(site_name, settings)
    base = [release for release in here if release.owner == "helm"]
    return Want(
        base=tuple(release.name for release in base),
        kept=tuple(release.name for release in here if release.owner == "argocd"),
        inputs={release.name: values.inputs(release, settings) for release in base},
        commit=values.commit_at(site_name, settings),
    )


def look(site: Site, want: Want) -> Have:
    """Helm's records, what they name, Argo CD's applications, and what `ready` names of each release."""
    seen = rollout.look(site)
    return Have(
        status={name: _status(record, want.inputs.get(name, "")) for name, record in seen.records.items()},
        applications={
            name: seen.applications[name].fault(want.commit) for name in want.kept if name in seen.applications
        },
        faults=seen.faults,
        namespaces={name: record.namespace for name, record in seen.records.items()},
        claims=seen.claims,
    )


def plan(want: Want, have: Have) -> Sequence[Change]:
    """What is no longer in apps/ goes; the base in order, each that changed awaited; then what Argo CD brings up."""
    wanted = {*want.base, *want.kept}
    gone = [_deletion(name, have, "no longer in apps/") for name in have.status if name not in wanted]
    whys = {name: why for name in want.base if (why := _base_fault(name, have))}
    writes = [
        Change("update" if name in have.status else "create", f"release {name}", why) for name, why in whys.items()
    ]
    waits = [Change("run", f"ready {name}", "its release changes") for name in whys]
    handed = [
        Change("update", f"owner {name}", "a release of Helm, Argo CD's from now on")
        for name in want.kept
        if name in have.status
    ]
    moves = any(change.what == "release git" for change in writes)
    kept = {name: why for name in want.kept if (why := _kept_fault(name, have, moves))}
    return [*gone, *writes, *waits, *handed, *(Change("run", f"ready {name}", why) for name, why in kept.items())]


def apply(site: Site, change: Change) -> None:
    """Install or upgrade and go on; a release's needs, and at the end each release, are awaited."""
    kind, name = change.what.split(" ", 1)
    if kind == "claim":
        namespace, _, claim = name.partition("/")
        site.kube.run("delete", "persistentvolumeclaim", claim, "-n", namespace, "--ignore-not-found", deadline_s=90.0)
    elif kind == "applications":
        applications.delete_all(site)
    elif change.verb == "delete":
        helm.uninstall(site.kube.connect(), name, str(change.args["namespace"]))
    else:
        rollout.bring(site, kind, releases.named(name, site.name, site.settings))


def undo(have: Have) -> Sequence[Change]:
    """Argo CD's applications at once, releases in reverse order of the records, then the claims, which are data."""
    kept = [Change("delete", "applications of Argo CD", "destroy")] if have.applications else []
    return [
        *kept,
        *(_deletion(name, have, "destroy") for name in reversed(list(have.status))),
        *(Change("delete", f"claim {claim}", "destroy", data=True) for claim in have.claims),
    ]


def _status(record: helm.Record, inputs: str) -> str:
    if record.status != helm.DEPLOYED:
        return record.status
    return CURRENT if record.inputs == inputs else "other inputs"


def _base_fault(name: str, have: Have) -> str:
    status = have.status.get(name, ABSENT)
    return have.faults.get(name, "") if status == CURRENT else status


def _kept_fault(name: str, have: Have, moves: bool) -> str:
    """moves: whether the commit that Argo CD follows is about to change."""
    if name not in have.applications:
        return ABSENT
    return have.applications[name] or have.faults.get(name, "") or ("the repository changes" if moves else "")


def _deletion(name: str, have: Have, why: str) -> Change:
    return Change("delete", f"release {name}", why, {"namespace": have.namespaces[name]})
