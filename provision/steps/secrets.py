"""Namespaces, Secrets and config maps that the applications of a site expect to find.

Meaning: every namespace of apps/ at the site, with the platform's config map, the pull secret and the Secrets that
    chart.toml names. Values come from the one SOPS file (age key outside the checkout); what has no value yet gets one.
Look: `kubectl get secrets -A -l tandem.io/owner` with the kubeconfig in `.state/<env>/` shows types, never values.
Recover: `invoke provision.secrets --site S` puts back what was deleted or edited, and restarts what read another value;
    `--rotate NAME` makes a new one first. A lost age key: put ~/.config/tandem/<platform>/age.key back, or begin anew.
Undo: the Secrets go. Namespaces stay, since volume claims live in them; they go with the cluster. The SOPS file stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from provision import appsecrets, following, leasing, manifests, restarts
from provision.appsecrets import PULL_SECRET, Seen, WantedSecret
from provision.following import Follower
from provision.manifests import namespace_of
from provision.settings import Settings
from provision.site import Site
from provision.step import Change
from provision.vault import digest

NAME = "secrets"
NEEDS = ("kubespray",)
JOINS = False
DEADLINE_S = 900
SETTLE_S = 20
CHECKS = ("check_secrets",)

CONFIG = "tandem"
KINDS = ("Namespace", "ConfigMap", "ServiceAccount", "Secret")


@dataclass(frozen=True)
class Want:
    """What a site's applications expect. pulls: whether images need our Secret. rotation: apps/rotation.toml."""

    platform: str
    namespaces: tuple[str, ...]
    config: Mapping[str, str]
    entries: tuple[str, ...]
    secrets: tuple[WantedSecret, ...]
    pulls: bool
    rotation: following.Table


@dataclass(frozen=True)
class Have:
    """What is there. config: the config map's data, by namespace. pulls: namespaces whose pods pull with our Secret.

    lease: what the cloud says of its end, which the config maps repeat for who has no credential of the cloud.
    current: vault entries that need nothing. right: keyed hashes that Secrets should have. followers: who reads them.
    """

    namespaces: tuple[str, ...] = ()
    config: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    lease: Mapping[str, str] = field(default_factory=dict)
    pulls: tuple[str, ...] = ()
    secrets: Mapping[str, Seen] = field(default_factory=dict)
    current: tuple[str, ...] = ()
    right: Mapping[str, str] = field(default_factory=dict)
    followers: tuple[Follower, ...] = ()


NOTHING = Have()


def want(settings: Settings, site_name: str) -> Want:
    """From chart.toml's `secrets`, the registry's mirror and the site that has an object store."""
    secrets = appsecrets.wanted(settings, site_name)
    return Want(
        platform=settings.platform,
        namespaces=appsecrets.namespaces(settings, site_name),
        config=appsecrets.config(settings, site_name),
        entries=tuple(dict.fromkeys(secret.name for secret in secrets)),
        secrets=secrets,
        pulls=any(secret.name == PULL_SECRET for secret in secrets),
        rotation=following.table(settings),
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
        config={namespace_of(item): item.get("data", {}) for item in configs if item["metadata"]["name"] == CONFIG},
        lease=leasing.told(site.cloud.leases.list_leases()),
        pulls=tuple(namespace_of(one) for one in accounts if {"name": PULL_SECRET} in one.get("imagePullSecrets", ())),
        secrets={seen.path: seen for seen in (appsecrets.seen(item, want.secrets, vault) for item in secrets)},
        current=tuple(name for name, spec in specs.items() if not site.vault.is_stale(spec, vault)),
        right={path: digest(vault, values) for path, values in data.items() if values},
        followers=following.followers(site.kube.get("pods"), want.rotation),
    )


def plan(want: Want, have: Have) -> Sequence[Change]:
    """Vault entries, then namespaces with what each has, then Secrets, then whoever has an older value."""
    stale = [name for name in want.entries if name not in have.current]
    entries = [Change("create", f"entry {name}", "the vault has no current one") for name in stale]
    faults = {name: why for name in want.namespaces if (why := _namespace_fault(name, want, have))}
    namespaces = [
        Change("update" if name in have.namespaces else "create", f"namespace {name}", why)
        for name, why in faults.items()
    ]
    found = {item.path: appsecrets.fault(item, have.secrets.get(item.path), have.right) for item in want.secrets}
    wrong = {path: Change(verb, f"secret {path}", why) for path, (verb, why) in found.items() if why}
    behind = following.changes(want.secrets, wrong.keys(), have.secrets, have.followers, want.rotation)
    return [*entries, *namespaces, *wrong.values(), *behind]


def apply(site: Site, change: Change) -> None:
    """Server-side apply of one thing; values go from the vault to kubectl's stdin and nowhere else."""
    kind, name = change.what.split(" ", 1)
    wanted = want(site.settings, site.name)
    secrets = {key: secret for secret in wanted.secrets for key in (secret.name, secret.path)}
    if kind == "entry":
        site.vault.ensure([appsecrets.entry_of(secrets[name], site.settings)])
    elif kind == "namespace":
        pulls = [PULL_SECRET] if wanted.pulls else []
        config = {**wanted.config, **leasing.told(site.cloud.leases.list_leases())}
        site.kube.apply(manifests.furnished_namespace(wanted.platform, name, CONFIG, config, pulls))
    elif kind == "keeper":
        restarts.tell(site, secrets[name])
    elif kind == "restart":
        restarts.restart(site, name)
    else:
        if change.verb in {"delete", "replace"}:  # a Secret's type cannot be changed
            restarts.remove(site, name)
        if change.verb != "delete":
            restarts.put(site, secrets[name])


def undo(have: Have) -> Sequence[Change]:
    """Every Secret of ours."""
    return [Change("delete", f"secret {path}", "destroy") for path in sorted(have.secrets)]


def _namespace_fault(name: str, want: Want, have: Have) -> str:
    if name not in have.namespaces:
        return "not there"
    if not {**want.config, **have.lease}.items() <= have.config.get(name, {}).items():
        return f"config map {CONFIG} differs"
    return "pods do not pull with our Secret" if want.pulls and name not in have.pulls else ""
