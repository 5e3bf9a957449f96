"""Namespaces, Secrets and config maps that the applications of a site expect to find.

Meaning: every namespace of apps/ at the site, with the platform's config map, the pull secret and the Secrets that
    chart.toml names. Values come from the one SOPS file (age key outside the checkout); what has no value yet gets one.
Look: `kubectl get secrets -A -l tandem.io/owner` with the kubeconfig in `.state/<env>/` shows types, never values.
Recover: `invoke provision.secrets --site S` puts back what was deleted or edited. A lost age key cannot be made again:
    put it back at ~/.config/tandem/<platform>/age.key, or destroy with --data and begin anew.
Undo: the Secrets go. Namespaces stay, since volume claims live in them; they go with the cluster. The SOPS file stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from provision import appsecrets, manifests
from provision.appsecrets import PULL_SECRET, Seen, WantedSecret
from provision.settings import Settings
from provision.site import Site
from provision.step import Change
from provision.vault import digest

NAME = "secrets"
NEEDS = ("kubespray",)
JOINS = False
DEADLINE_S = 120
SETTLE_S = 20
CHECKS = ("check_secrets",)

CONFIG = "tandem"
KINDS = ("Namespace", "ConfigMap", "ServiceAccount", "Secret")


@dataclass(frozen=True)
class Want:
    """What a site's applications expect. entries: what the vault must hold. pulls: whether images need our Secret."""

    platform: str
    namespaces: tuple[str, ...]
    config: Mapping[str, str]
    entries: tuple[str, ...]
    secrets: tuple[WantedSecret, ...]
    pulls: bool


@dataclass(frozen=True)
class Have:
    """What is there. config: the config map's data, by namespace. pulls: namespaces whose pods pull with our Secret.

    current: vault entries that need nothing. right: the keyed hashes that Secrets should have, as far as known.
    """

    namespaces: tuple[str, ...] = ()
    config: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    pulls: tuple[str, ...] = ()
    secrets: Mapping[str, Seen] = field(default_factory=dict)
    current: tuple[str, ...] = ()
    right: Mapping[str, str] = field(default_factory=dict)


NOTHING = Have()


def want(settings: Settings, site_name: str) -> Want:
    """From chart.toml's `secrets`, the registry's mirror and the site that has an object store."""
    secrets = appsecrets.wanted(settings, site_name)
    return Want(
        platform=settings.platform,
        namespaces=appsecrets.namespaces(site_name),
        config=appsecrets.config(settings, site_name),
        entries=tuple(dict.fromkeys(secret.name for secret in secrets)),
        secrets=secrets,
        pulls=any(secret.name == PULL_SECRET for secret in secrets),
    )


def look(site: Site, want: Want) -> Have:
    """What is in the cluster and in the vault; values are hashed at once and forgotten."""
    vault = site.vault.read()
    objects = site.kube.get(",".join(KINDS), selector=f"{manifests.OWNER}={want.platform}")
    namespaces, configs, accounts, secrets = ([item for item in objects if item["kind"] == kind] for kind in KINDS)
    specs = {secret.name: appsecrets.entry_of(secret, site.settings) for secret in want.secrets}
    data = {secret.path: appsecrets.values(secret, site.settings, vault) for secret in want.secrets}
    return Have(
        namespaces=tuple(item["metadata"]["name"] for item in namespaces),
        config={_namespace(item): item.get("data", {}) for item in configs if item["metadata"]["name"] == CONFIG},
        pulls=tuple(_namespace(item) for item in accounts if {"name": PULL_SECRET} in item.get("imagePullSecrets", ())),
        secrets={seen.path: seen for seen in (appsecrets.seen(item, want.secrets, vault) for item in secrets)},
        current=tuple(name for name, spec in specs.items() if not site.vault.is_stale(spec, vault)),
        right={path: digest(vault, values) for path, values in data.items() if values},
    )


def plan(want: Want, have: Have) -> Sequence[Change]:
    """Vault entries, then namespaces with what each has, then Secrets."""
    stale = [name for name in want.entries if name not in have.current]
    entries = [Change("create", f"entry {name}", "the vault has no current one") for name in stale]
    faults = {name: _namespace_fault(name, want, have) for name in want.namespaces}
    namespaces = [
        Change("update" if name in have.namespaces else "create", f"namespace {name}", why)
        for name, why in faults.items()
        if why
    ]
    found = {item.path: appsecrets.fault(item, have.secrets.get(item.path), have.right) for item in want.secrets}
    return [*entries, *namespaces, *(Change(verb, f"secret {path}", why) for path, (verb, why) in found.items() if why)]


def apply(site: Site, change: Change) -> None:
    """Server-side apply of one thing; values go from the vault to kubectl's stdin and nowhere else."""
    kind, name = change.what.split(" ", 1)
    wanted = want(site.settings, site.name)
    if kind == "entry":
        secret = next(secret for secret in wanted.secrets if secret.name == name)
        site.vault.ensure([appsecrets.entry_of(secret, site.settings)])
    elif kind == "namespace":
        pulls = [PULL_SECRET] if wanted.pulls else []
        site.kube.apply(manifests.furnished_namespace(wanted.platform, name, CONFIG, wanted.config, pulls))
    else:
        if change.verb in {"delete", "replace"}:  # a Secret's type cannot be changed
            namespace, _, short = name.partition("/")
            site.kube.run("delete", "secret", short, "-n", namespace, "--ignore-not-found")
        if change.verb != "delete":
            _put(site, next(secret for secret in wanted.secrets if secret.path == name))


def undo(have: Have) -> Sequence[Change]:
    """Every Secret of ours."""
    return [Change("delete", f"secret {path}", "destroy") for path in sorted(have.secrets)]


def _namespace_fault(name: str, want: Want, have: Have) -> str:
    if name not in have.namespaces:
        return "not there"
    config = have.config.get(name, {})
    if any(config.get(key) != value for key, value in want.config.items()):
        return f"config map {CONFIG} differs"
    return "pods do not pull with our Secret" if want.pulls and name not in have.pulls else ""


def _put(site: Site, secret: WantedSecret) -> None:
    vault = site.vault.read()
    data = appsecrets.values(secret, site.settings, vault)
    mark = digest(vault, data)
    site.kube.apply([manifests.secret(site.settings.platform, secret.name, secret.namespace, secret.kind, data, mark)])


def _namespace(item: Mapping[str, Any]) -> str:
    return str(item["metadata"].get("namespace", ""))
