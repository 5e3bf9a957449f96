"""Secrets written with the time of their change; keepers told; workloads restarted, rolling, and awaited."""

from __future__ import annotations

from datetime import UTC, datetime

from provision import appsecrets, following, manifests
from provision.appsecrets import WantedSecret
from provision.errors import PreconditionMissing
from provision.site import Site
from provision.vault import digest
from provision.wait import never, wait_until

RESTART_S = 300.0
TELL_S = 60.0


def put(site: Site, secret: WantedSecret) -> None:
    """Write a Secret from the vault; values go to kubectl's stdin and nowhere else."""
    vault = site.vault.read()
    data = appsecrets.values(secret, site.settings, vault)
    if not data:
        raise PreconditionMissing(f"{secret.path}: the vault lacks its values", next="invoke provision.secrets")
    mark = digest(vault, data)
    there = site.kube.get("secret", namespace=secret.namespace, name=secret.name)
    marks = there[0]["metadata"].get("annotations", {}) if there else {}
    # Who reads a Secret that is there has an older value; nobody has read one that is not.
    since = marks.get(manifests.SINCE, "") if not there or marks.get(manifests.FINGERPRINT) == mark else _now()
    site.kube.apply(
        [manifests.secret(site.settings.platform, secret.name, secret.namespace, secret.kind, data, mark, since)]
    )


def remove(site: Site, path: str) -> None:
    """Delete a Secret (`namespace/name`); silent if it is gone."""
    namespace, _, name = path.partition("/")
    site.kube.run("delete", "secret", name, "-n", namespace, "--ignore-not-found")


def tell(site: Site, secret: WantedSecret) -> None:
    """Give the keepers of a Secret the value that the vault has, and note that they have it."""
    vault = site.vault.read()
    values = {key: vault[secret.name][key] for key in secret.keys}
    for keeper in following.table(site.settings).keepers(secret.name):
        words = ["exec", "-i", "-n", keeper.namespace, keeper.workload, "--", *keeper.command, secret.name]
        site.kube.run(*words, stdin="".join(f"{value}\n" for value in values.values()), deadline_s=TELL_S)
    note = f"{manifests.TOLD}={digest(vault, values)}"
    site.kube.run("annotate", "secret", secret.name, "-n", secret.namespace, "--overwrite", note)


def restart(site: Site, path: str) -> None:
    """Bring a workload (`namespace/kind/name`) up anew, as gently as its own strategy has it, and wait for it."""
    namespace, kind, name = path.split("/")
    if kind == "raycluster":
        _restart_pods(site, namespace, f"ray.io/cluster={name}")
        return
    site.kube.run("rollout", "restart", f"{kind}/{name}", "-n", namespace)
    site.kube.run(
        *("rollout", "status", f"{kind}/{name}", "-n", namespace, f"--timeout={RESTART_S:.0f}s"),
        deadline_s=RESTART_S + 10,
    )


def _restart_pods(site: Site, namespace: str, selector: str) -> None:
    """Take pods away whose controller rolls nothing, and wait for as many to be ready again."""

    def ready() -> int:
        conditions = [
            pod["status"].get("conditions", ()) for pod in site.kube.get("pods", namespace=namespace, selector=selector)
        ]
        return sum(any(told["type"] == "Ready" and told["status"] == "True" for told in each) for each in conditions)

    count = len(site.kube.get("pods", namespace=namespace, selector=selector))
    site.kube.run("delete", "pods", "-n", namespace, "-l", selector, deadline_s=RESTART_S)
    wait_until(
        f"{site.name}: {count} pods of {selector} ready again",
        ready,
        lambda found: found >= count,
        never,
        deadline_s=RESTART_S,
        next=f"kubectl --kubeconfig {site.kube.kubeconfig} describe pods -n {namespace} -l {selector}",
    )


def _now() -> str:
    """As the API writes times, so that they can be compared."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
