"""What a site's Argo CD says of its applications."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from provision.site import Site
from provision.wait import never, wait_until

KIND = "applications.argoproj.io"
NAMESPACE = "argocd"
ROOT = "platform"
GONE_S = 240.0
AGAIN_S = 20.0
OF_HEALING = dict.fromkeys(("resources", "revision", "source", "sources", "autoHealAttemptsCount"))
"""What Argo CD's own healing adds to a sync; none of it is ours."""
REFRESH = "argocd.argoproj.io/refresh"


@dataclass(frozen=True, slots=True)
class Application:
    """One Application. revision: the commit it was last compared with. syncs: whether drift is healed.

    message: why it is not as it should be, as far as Argo CD says. busy: it is being synced, or was asked to be.
    """

    name: str
    sync: str
    health: str
    revision: str
    syncs: bool = True
    message: str = ""
    busy: bool = False

    def __repr__(self) -> str:
        return f"{self.sync}, {self.health}{': ' if self.message else ''}{self.message}"

    def fault(self, commit: str) -> str:
        """What is wrong, or '': it must be at this commit ('' for any), synced and healthy."""
        if self.sync != "Synced" or self.health != "Healthy":
            return repr(self)
        if commit and self.revision != commit:
            return f"at commit {self.revision[:8] or 'none'}, want {commit[:8]}"
        return "" if self.syncs else "Argo CD does not heal it"


ABSENT = Application("", "not there", "Missing", "")


def read(site: Site) -> Mapping[str, Application]:
    """Every application of the site by name; empty where there is no Argo CD."""
    return parse(site.kube.get(KIND, namespace=NAMESPACE))


def parse(items: Sequence[Mapping[str, Any]]) -> Mapping[str, Application]:
    """From the objects as the API gives them."""
    return {item["metadata"]["name"]: _application(item) for item in items}


def refresh(site: Site, name: str) -> None:
    """Have Argo CD compare an application, and the one that holds all, at once."""
    for each in (ROOT, name):
        if site.kube.get(KIND, namespace=NAMESPACE, name=each):
            site.kube.run("annotate", KIND, each, "-n", NAMESPACE, f"{REFRESH}=normal", "--overwrite")


def sync(site: Site, name: str) -> None:
    """Have Argo CD put an application right now. By itself it waits longer each time that the same thing differs."""
    for item in site.kube.get(KIND, namespace=NAMESPACE, name=name):
        options = item["spec"].get("syncPolicy", {}).get("syncOptions", [])
        asked = {**OF_HEALING, "prune": True, "syncOptions": options}
        operation = {"initiatedBy": {"username": "tandem", "automated": None}, "retry": None, "sync": asked}
        # As its own command line does it: what the last operation left would be merged into the new one.
        patch = {"operation": operation, "status": {"operationState": None}}
        site.kube.run("patch", KIND, name, "-n", NAMESPACE, "--type=merge", "-p", json.dumps(patch))


@dataclass
class Watch:
    """Looks at an application; now and then has it and the one that holds all synced, if they are not."""

    site: Site
    name: str
    clock: Callable[[], float] = time.monotonic
    pushed_at: dict[str, float] = field(default_factory=dict)

    def look(self) -> Application:
        """As it was found."""
        found = read(self.site)
        for name in (ROOT, self.name):
            one = found.get(name, ABSENT)
            rested = self.clock() - self.pushed_at.get(name, -AGAIN_S) >= AGAIN_S
            if one.sync == "OutOfSync" and not one.busy and rested:
                self.pushed_at[name] = self.clock()
                sync(self.site, name)
        return found.get(self.name, ABSENT)


def resume(site: Site) -> None:
    """Helm compares a custom resource with its last manifest only: what somebody switched off there stays off."""
    policy = {"spec": {"syncPolicy": {"automated": {"prune": True, "selfHeal": True}}}}
    site.kube.run("patch", KIND, ROOT, "-n", NAMESPACE, "--type=merge", "-p", json.dumps(policy))


def delete_all(site: Site) -> None:
    """The application that holds all others goes, and with it, by their finalizers, they and what they made."""
    if not site.kube.get(KIND, namespace=NAMESPACE, name=ROOT):
        return
    site.kube.run("delete", KIND, ROOT, "-n", NAMESPACE, "--wait=false")
    wait_until(
        f"{site.name}: applications gone",
        lambda: sorted(read(site)),
        lambda left: not left,
        never,
        deadline_s=GONE_S,
        next=f"kubectl --kubeconfig {site.kube.kubeconfig} get applications -n {NAMESPACE}",
    )


def _application(item: Mapping[str, Any]) -> Application:
    status, policy = item.get("status", {}), item["spec"].get("syncPolicy", {})
    troubles = [told["message"] for told in status.get("conditions", ()) if told["type"].endswith("Error")]
    operation = status.get("operationState", {})
    if not troubles and operation.get("phase") in {"Failed", "Error"}:
        troubles = [operation.get("message", "")]
    return Application(
        name=item["metadata"]["name"],
        sync=status.get("sync", {}).get("status", "Unknown"),
        health=status.get("health", {}).get("status", "Missing"),
        revision=status.get("sync", {}).get("revision", ""),
        syncs=bool((policy.get("automated") or {}).get("selfHeal")),
        busy="operation" in item,
        message="; ".join(troubles)[:300],
    )
