"""Secrets: there, of the right type, with the vault's values; the vault closed, and none of it anywhere in the clear.

Values are compared by keyed hash or searched for in memory; a failure names a Secret, a key or a file, never a value.
"""

from __future__ import annotations

import stat
from collections.abc import Callable

import pytest

from provision import appsecrets, manifests, shell
from provision.settings import ROOT, Settings
from provision.site import Site
from provision.vault import Vault, digest
from provision.wait import never, wait_until
from verify.needles import Needles, read

IMAGE = "docker.io/library/busybox:1.35.0"


@pytest.fixture(scope="module")
def needles(settings: Settings) -> Needles:
    """Of everything in the vault."""
    return read(settings)


def test_every_secret_has_its_type_and_keys(site: Site, figure: Callable[[str], None]) -> None:
    """Each Secret that the site's applications name is there as they expect it."""
    there = {f"{item['metadata']['namespace']}/{item['metadata']['name']}": item for item in site.kube.get("secrets")}
    wanted = appsecrets.wanted(site.settings, site.name)
    wrong = [
        secret.path
        for secret in wanted
        if secret.path not in there
        or there[secret.path]["type"] != secret.kind
        or not set(secret.keys) <= set(there[secret.path].get("data") or ())
    ]
    figure(f"{len(wanted)} Secrets in {len(appsecrets.namespaces(site.settings, site.name))} namespaces")
    assert wanted
    assert wrong == []


def test_every_secret_holds_the_vaults_values(site: Site) -> None:
    """By keyed hash, of the data itself and of the annotation beside it."""
    vault = site.vault.read()
    wanted = appsecrets.wanted(site.settings, site.name)
    items = site.kube.get("secrets", selector=f"{manifests.OWNER}={site.settings.platform}")
    seen = {found.path: found.fingerprint for found in (appsecrets.seen(item, wanted, vault) for item in items)}
    marks = {
        f"{item['metadata']['namespace']}/{item['metadata']['name']}": item["metadata"]
        .get("annotations", {})
        .get(manifests.FINGERPRINT)
        for item in items
    }
    right = {secret.path: digest(vault, appsecrets.values(secret, site.settings, vault)) for secret in wanted}
    assert {path: mark for path, mark in seen.items() if path in right} == right
    assert {path: mark for path, mark in marks.items() if path in right} == right


def test_every_namespace_pulls_with_our_secret(site: Site) -> None:
    """Where images need credentials, every namespace's default service account has them."""
    wanted = [secret for secret in appsecrets.wanted(site.settings, site.name) if secret.name == appsecrets.PULL_SECRET]
    accounts = {
        item["metadata"]["namespace"]: item.get("imagePullSecrets", [])
        for item in site.kube.get("serviceaccounts")
        if item["metadata"]["name"] == "default"
    }
    without = [secret.namespace for secret in wanted if {"name": secret.name} not in accounts.get(secret.namespace, [])]
    assert without == []


def test_a_pod_of_another_account_pulls_with_its_node_s_credentials(
    site: Site, namespaced: Callable[[Site], str], budget: Callable[[str], float]
) -> None:
    """Charts bring accounts of their own, without our Secret: what the node has is enough for every pod on it."""
    meta = {"name": "puller", "namespace": namespaced(site)}
    container = {
        "name": "pulled",
        "image": IMAGE,
        "imagePullPolicy": "Always",
        "command": ["true"],
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}},
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": meta,
        "spec": {"serviceAccountName": "puller", "restartPolicy": "Never", "containers": [container]},
    }
    site.kube.apply([{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta}, pod])
    seen = wait_until(
        f"{site.name}: an image pulled for another account",
        lambda: site.kube.get("pod", namespace=meta["namespace"], name="puller")[0]["status"].get("phase"),
        lambda phase: phase in {"Succeeded", "Failed"},
        never,
        deadline_s=budget("charts.pod_deadline_s"),
        every_s=0.5,
    )
    assert seen == "Succeeded"


def test_the_vault_is_closed_and_outside_the_checkout(settings: Settings, needles: Needles) -> None:
    """Encrypted, readable by its owner only, and not where git or a copy of the checkout would take it along."""
    vault = Vault(settings)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (vault.path, vault.key_path)}
    assert modes == {vault.path.name: 0o600, vault.key_path.name: 0o600}
    assert stat.S_IMODE(settings.config_dir.stat().st_mode) == 0o700
    assert not settings.config_dir.resolve().is_relative_to(ROOT)
    assert "sops:" in vault.path.read_text()
    assert needles.found_in([vault.path]) == []


def test_no_secret_is_in_git(needles: Needles, figure: Callable[[str], None]) -> None:
    """Neither in a file that git has or would take, nor in its history."""
    listed = shell.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], deadline_s=20, cwd=ROOT)
    files = [ROOT / name for name in listed.stdout.split("\0") if name]
    assert files
    assert needles.found_in(files) == []
    log = shell.run(["git", "log", "--all", "-p", "--unified=0", "--no-color"], deadline_s=60, ok=(0, 128), cwd=ROOT)
    figure(f"{len(needles.lines)} values, {len(files)} files, {len(log.stdout) // 1000} kB of history")
    seen = needles.found(log.stdout)
    assert seen == []


def test_no_secret_was_printed(settings: Settings, needles: Needles, figure: Callable[[str], None]) -> None:
    """No log, event, receipt or report under `.state/` shows one."""
    files = [path for path in settings.state_dir.rglob("*") if path.is_file()]
    figure(f"{len(needles.lines)} values, {len(files)} files")
    assert needles.lines
    assert needles.found_in(files) == []
