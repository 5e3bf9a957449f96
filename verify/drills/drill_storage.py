"""The object store and what stands before it: it loses nothing, a stalled store is waited for, old things go by rule.

And class `object`: what a restart of the driver's pod on a node takes from the pods there, and what brings it back.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from provision import gateway, s3
from provision.errors import CommandFailed
from provision.gateway import Gateway
from provision.settings import Settings
from provision.site import Site
from provision.wait import never, wait_until
from verify.check_storage_class import GIVE_BACK, IMAGE, OBJECT
from verify.drills.cli import Cli

SITE, NAMESPACE, APPLICATION = "kvm-tacc", "s3", "argo"
MARK, TEXT = "tandem-verify", "kept by the store, not by the cluster"
TABLE = "tandem_verify"
IMPATIENT_S = 10.0
DRIVER = "csi-rclone-node"
HOLDER = "tandem-verify-holder"


@pytest.fixture
def site(doors: Mapping[str, Site]) -> Site:
    """Where the gateway is."""
    return doors[SITE]


@pytest.fixture
def store(site: Site, settings: Settings) -> Iterator[tuple[Gateway, str]]:
    """The gateway with an application's key, and an object of ours in it."""
    path = f"/{settings.name(settings.store_site, APPLICATION)}/{MARK}/drill"
    with gateway.opened(site, f"s3-{APPLICATION}") as opened:
        opened.put(path, TEXT.encode())
        yield opened, path
        opened.delete(path)


@pytest.mark.breaks
def test_without_its_release_nothing_is_lost(
    site: Site, store: tuple[Gateway, str], cli: Cli, figure: Callable[[str], None]
) -> None:
    """The pod is deleted, then the whole namespace's workload; one step, and the object is read again."""
    opened, path = store
    started = time.monotonic()
    site.kube.run("delete", "pods", "-n", NAMESPACE, "-l", "app.kubernetes.io/name=s3")
    _await(lambda: opened.get(path), "gateway: answers again", cli.budget("drill.gateway_back_s"))
    moved_s = time.monotonic() - started
    site.kube.run("delete", "deployment/s3", "service/s3", "configmap/s3", "-n", NAMESPACE)
    repair = cli.must("provision.charts", "--site", SITE)
    figure(f"pod deleted: answers after {moved_s:.1f} s; release deleted: repaired in {repair.seconds:.0f} s")
    assert opened.get(path) == TEXT.encode()


@pytest.mark.breaks
def test_a_stalled_store_is_waited_for(
    site: Site, settings: Settings, store: tuple[Gateway, str], cli: Cli, figure: Callable[[str], None]
) -> None:
    """Packets to the store are lost: the gateway stays ready, an impatient client gives up by its own clock only."""
    opened, path = store
    key = s3.KeyFile.of(settings, settings.store_site).read()
    with _unreachable(site, key):
        started = time.monotonic()
        with pytest.raises((requests.Timeout, requests.ConnectionError)):
            requests.get(s3.presigned(opened.key, "GET", path), timeout=IMPATIENT_S)
        gave_up_s = time.monotonic() - started
        health = requests.get(f"{opened.key.endpoint}/health", timeout=IMPATIENT_S).status_code
    started = time.monotonic()
    _await(lambda: opened.get(path), "gateway: answers again", cli.budget("drill.gateway_back_s"))
    back_s = time.monotonic() - started
    figure(f"stalled: no error, given up after {gave_up_s:.0f} s; health {health}; back {back_s:.1f} s after the store")
    assert gave_up_s >= IMPATIENT_S - 1
    assert health == requests.codes.ok


@pytest.mark.breaks
def test_what_is_old_goes_and_nothing_else(
    site: Site, settings: Settings, store: tuple[Gateway, str], cli: Cli, figure: Callable[[str], None]
) -> None:
    """The job of every night, told to see our objects only: kept by its own rule, gone when that says one second."""
    opened, path = store
    first_s = _expire(site, settings, "14d", cli.budget("drill.job_s"))
    kept = opened.get(path)
    second_s = _expire(site, settings, "1s", cli.budget("drill.job_s"))
    figure(f"{settings.name(settings.store_site, APPLICATION)}: two runs, {first_s:.0f} s and {second_s:.0f} s")
    assert kept == TEXT.encode()
    assert opened.get(path) is None


@pytest.mark.breaks
def test_a_volume_is_mounted_again_after_its_driver_restarted(
    site: Site, cli: Cli, figure: Callable[[str], None]
) -> None:
    """A container that runs keeps a dead mount, and says so; started anew, it reads again. New pods do at once."""
    deadline_s = cli.budget("drill.gateway_back_s")
    with ExitStack() as stack:
        stack.callback(site.kube.run, "delete", "namespace", HOLDER, "--ignore-not-found", deadline_s=120.0)
        site.kube.apply(_holder(node := site.own.nodes[-1].name))
        _await(lambda: _cat(site), f"{HOLDER}: reads", deadline_s)
        stack.callback(_give_back, site)
        site.kube.run(
            *("delete", "pods", "-n", "object-storage", "--wait=true"),
            *("-l", f"app.kubernetes.io/name={DRIVER}", "--field-selector", f"spec.nodeName={node}"),
        )
        site.kube.run("rollout", "status", f"daemonset/{DRIVER}", "-n", "object-storage", deadline_s=120.0)
        running = site.kube.run("exec", "-n", HOLDER, HOLDER, "--", "cat", "/data/text", ok=(0, 1))
        started = time.monotonic()
        site.kube.run("exec", "-n", HOLDER, HOLDER, "--", "kill", "1", ok=(0, 137, 143))
        _await(lambda: _cat(site), f"{HOLDER}: reads again", deadline_s)
        back_s = time.monotonic() - started
    said = next(iter(running.stderr.splitlines()), "reads on").rpartition(": ")[2]
    figure(f"while it runs: {said}; container anew: reads after {back_s:.1f} s")


def _await(probe: Callable[[], bytes | None], what: str, deadline_s: float) -> None:
    def quiet() -> bytes | None:
        try:
            return probe()
        except CommandFailed:
            return None

    wait_until(what, quiet, lambda found: found is not None, never, deadline_s=deadline_s, every_s=0.5)


@contextmanager
def _unreachable(site: Site, key: s3.Key) -> Iterator[None]:
    """Packets from this site's pods to the store are lost, on every node."""
    url = urlsplit(key.endpoint)
    rule = f"ip daddr {url.hostname} tcp dport {url.port or 443} drop;"
    rules = f"table inet {TABLE} {{\nchain through {{\ntype filter hook forward priority -10;\n{rule}\n}}\n}}\n"
    names = [node.name for node in site.own.nodes]
    try:
        for name in names:
            site.hosts.run(name, ["nft", "-f", "-"], stdin=rules)
        yield
    finally:
        for name in names:
            site.hosts.run(name, ["nft", "delete", "table", "inet", TABLE], ok=(0, 1))


def _expire(site: Site, settings: Settings, age: str, deadline_s: float) -> float:
    """Run the job with one rule, blind for all but our objects; seconds that it took."""
    (cron,) = site.kube.get("cronjob", namespace=NAMESPACE, name="s3-expiry")
    spec: Any = cron["spec"]["jobTemplate"]["spec"]
    container = spec["template"]["spec"]["containers"][0]
    rule = f"echo {settings.name(settings.store_site, APPLICATION)} {age} > /work/expiry"
    container["command"] = ["/bin/sh", "-euc", f"{rule}; sed s,/etc/tandem,/work, /etc/tandem/expire.sh | sh -eu"]
    container["env"].append({"name": "RCLONE_INCLUDE", "value": f"/{MARK}/**"})
    name = f"{MARK}-{age}"
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec}
    started = time.monotonic()
    try:
        site.kube.run("create", "-f", "-", stdin=json.dumps(job))
        seconds = f"--timeout={deadline_s:.0f}s"
        site.kube.run(
            *("wait", f"job/{name}", "-n", NAMESPACE, "--for=condition=Complete", seconds), deadline_s=deadline_s + 5
        )
        return time.monotonic() - started
    finally:
        site.kube.run("delete", "job", name, "-n", NAMESPACE, "--ignore-not-found")


def _holder(node: str) -> list[Any]:
    """A namespace with a claim of class `object` and a pod that holds it, and writes into it when it starts."""
    metadata = {"name": HOLDER, "namespace": HOLDER}
    size = {"requests": {"storage": "16Mi"}}
    claim = {"storageClassName": OBJECT, "accessModes": ["ReadWriteOnce"], "resources": size}
    container = {
        "name": "holder",
        "image": IMAGE,
        "command": ["sh", "-euc", f"trap 'exit 0' TERM; echo '{TEXT}' > /data/text; while sleep 1; do :; done"],
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "32Mi"}},
    }
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": HOLDER}}]
    spec = {"nodeName": node, "terminationGracePeriodSeconds": 0, "containers": [container], "volumes": volumes}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": HOLDER}},
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": claim},
        {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec},
    ]


def _cat(site: Site) -> bytes | None:
    said = site.kube.run("exec", "-n", HOLDER, HOLDER, "--", "cat", "/data/text", ok=(0, 1))
    return said.stdout.encode() if said.code == 0 else None


def _give_back(site: Site) -> None:
    """The class keeps volumes and data when a claim goes; these are only ours."""
    (claim,) = site.kube.get("pvc", namespace=HOLDER, name=HOLDER)
    volume = claim["spec"]["volumeName"]
    site.kube.run("patch", "pv", volume, "-p", json.dumps(GIVE_BACK))
    (found,) = [item for item in site.kube.get("pv") if item["metadata"]["name"] == volume]
    path = f"/{found['spec']['csi']['volumeAttributes']['remotePath']}/text"
    home = site.settings.store_site
    requests.delete(s3.presigned(s3.KeyFile.of(site.settings, home).read(), "DELETE", path), timeout=IMPATIENT_S)
