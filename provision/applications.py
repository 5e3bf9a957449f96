"""What a site's Argo CD says of its applications."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from provision.site import Site
from provision.wait import never, wait_until

KIND = "applications.argoproj.io"
NAMESPACE = "argocd"
ROOT = "platform"
GONE_S = 240.0
REFRESH = "argocd.argoproj.io/refresh"


@dataclass(frozen=True, slots=True)
class Application:
    """One Application. revision: the commit it was last compared with. syncs: whether drift is healed.

    message: why it is not as it should be, as far as Argo CD says.
    """

    name: str
    sync: str
    health: str
    revision: str
    syncs: bool = True
    message: str = ""

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
        message="; ".join(troubles)[:300],
    )
