"""Which Secrets a site's applications expect, and what each holds. Pure: settings, chart.toml, vault entries in hand.

A Secret is named like the vault entry its values come from. What chart.toml names and the table below does not know is
a password that the vault makes.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from provision import manifests, releases
from provision.settings import Settings
from provision.step import Verb
from provision.vault import Entries, SecretSpec, digest

LINK_NAMESPACE = "tandem-link"
PULL_SECRET = "registry"
OBJECT_STORE = "object-store"
RCLONE, RCLONE_KEY = "rclone", "configData"
DOCKER_TYPE = "kubernetes.io/dockerconfigjson"
DOCKER_KEY = ".dockerconfigjson"


@dataclass(frozen=True, slots=True)
class WantedSecret:
    """A Secret: where, its keys and its type."""

    namespace: str
    name: str
    keys: tuple[str, ...]
    kind: str = "Opaque"

    @property
    def path(self) -> str:
        """`namespace/name`."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Seen:
    """A Secret in the cluster: type, keys, and the keyed hash of the values we care for.

    since: when they last changed, '' for never. told: the hash of what its keeper was last given.
    """

    path: str
    kind: str
    keys: tuple[str, ...]
    fingerprint: str
    since: str = ""
    told: str = ""


def namespaces(settings: Settings, site_name: str) -> tuple[str, ...]:
    """The namespaces of a site: those of its releases and the link's."""
    return tuple(sorted({LINK_NAMESPACE, *(release.namespace for release in releases.at(site_name, settings))}))


def config(settings: Settings, site_name: str) -> Mapping[str, str]:
    """The data of the config map that every namespace has."""
    return {"platform": settings.platform, "env": settings.env, "site": site_name}


def wanted(settings: Settings, site_name: str) -> tuple[WantedSecret, ...]:
    """Every Secret of a site: what chart.toml names, the object store's key, a pull secret in each namespace."""
    found = releases.secret_keys(releases.at(site_name, settings))
    secrets = [WantedSecret(namespace, name, keys) for (namespace, name), keys in found.items()]
    known = entries(settings)
    if OBJECT_STORE in known:
        secrets.append(WantedSecret(LINK_NAMESPACE, OBJECT_STORE, known[OBJECT_STORE].keys))
    if PULL_SECRET in known:
        secrets += [
            WantedSecret(name, PULL_SECRET, (DOCKER_KEY,), DOCKER_TYPE) for name in namespaces(settings, site_name)
        ]
    return tuple(dict.fromkeys(secrets))


def entry_of(secret: WantedSecret, settings: Settings) -> SecretSpec:
    """The vault entry behind a Secret, with the keys of all Secrets of its name, wherever they are.

    rclone's configuration is another form of the object store's key.
    """
    name = OBJECT_STORE if secret.name == RCLONE else secret.name
    if name in (known := entries(settings)):
        return known[name]
    named = [one.keys for site in settings.sites for one in wanted(settings, site) if one.name == name]
    return SecretSpec(name, tuple(dict.fromkeys(key for keys in (secret.keys, *named) for key in keys)))


def entries(settings: Settings) -> Mapping[str, SecretSpec]:
    """Vault entries that follow a file which another step keeps, as far as this environment has them."""
    known: dict[str, SecretSpec] = {}
    if settings.registry.mirror:
        known[PULL_SECRET] = SecretSpec(PULL_SECRET, ("user", "password"), "file", "registry.json")
    store = settings.store_site
    if store:
        keys = ("access", "secret", "endpoint", "region")
        known[OBJECT_STORE] = SecretSpec(OBJECT_STORE, keys, "file", f"ec2-{store}.json", "storage")
    return known


def values(secret: WantedSecret, settings: Settings, vault: Entries) -> Mapping[str, str]:
    """The data of a Secret; empty as long as the vault lacks any of it."""
    entry = vault.get(secret.name, {})
    if secret.kind == DOCKER_TYPE:
        if not entry:
            return {}
        hosts = (*settings.registry.upstreams, settings.registry.mirror)
        return {DOCKER_KEY: manifests.docker_config(entry["user"], entry["password"], hosts)}
    if secret.name == RCLONE:
        store = vault.get(OBJECT_STORE, {})
        return {RCLONE_KEY: manifests.rclone_config(store)} if store else {}
    return {key: entry[key] for key in secret.keys} if all(key in entry for key in secret.keys) else {}


def seen(item: Mapping[str, Any], secrets: Sequence[WantedSecret], vault: Entries) -> Seen:
    """A Secret as the API gives it, hashed over the keys we want there: what others add to it is theirs."""
    path = f"{item['metadata']['namespace']}/{item['metadata']['name']}"
    ours = next((secret.keys for secret in secrets if secret.path == path), ())
    data = {key: b64decode(value).decode(errors="replace") for key, value in (item.get("data") or {}).items()}
    mark = digest(vault, {key: value for key, value in data.items() if key in ours})
    notes = item["metadata"].get("annotations", {})
    return Seen(
        path, item["type"], tuple(sorted(data)), mark, notes.get(manifests.SINCE, ""), notes.get(manifests.TOLD, "")
    )


def fault(secret: WantedSecret, found: Seen | None, right: Mapping[str, str]) -> tuple[Verb, str]:
    """What is wrong with a Secret and the verb that mends it; '' when nothing is. right: hashes by path."""
    if found is None:
        return "create", "not there"
    if found.kind != secret.kind:
        return "replace", f"type {found.kind}, want {secret.kind}"
    if missing := [key for key in secret.keys if key not in found.keys]:
        return "update", f"lacks {', '.join(missing)}"
    return "update", "" if found.fingerprint == right.get(secret.path) else "its values are not the vault's"
