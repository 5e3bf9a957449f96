"""Passwords of a tree and what a user of its cloud holds: files, 0600, never in an argument or a log."""

from __future__ import annotations

import json
import secrets as entropy
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from rehearsal.clouds.config.shared import Secrets
from rehearsal.clouds.layout import Places, Tree
from rehearsal.clouds.sites import SITES

SECRETS_FILE = "secrets.json"
ACCESS_FILE = "access.json"


@dataclass(frozen=True, slots=True)
class Ec2Key:
    """An S3 key pair and where it is good. region: the one to sign with, not the cloud's."""

    access: str
    secret: str
    endpoint: str
    region: str


@dataclass(frozen=True, slots=True)
class Access:
    """What tandem's user holds at one site."""

    credential_id: str
    credential_secret: str
    ec2: Ec2Key | None = None


def make_secrets() -> Secrets:
    """New random passwords."""
    return Secrets(*(entropy.token_hex(24) for _ in range(4)))


def write_secrets(tree: Tree, secrets: Secrets) -> None:
    """Keep a tree's passwords in its root."""
    write_private(tree.file(SECRETS_FILE), json.dumps(asdict(secrets)))


def read_secrets(tree: Tree) -> Secrets:
    """The passwords made with the tree's template."""
    return Secrets(**json.loads(tree.file(SECRETS_FILE).read_text()))


def write_access(tree: Tree, access: Access) -> None:
    """Keep what the seeding made for tandem's user."""
    write_private(tree.file(ACCESS_FILE), json.dumps(asdict(access)))


def read_access(root: Path) -> Access:
    """What tandem's user holds at the site whose tree lies at `root`."""
    facts = json.loads((root / ACCESS_FILE).read_text())
    ec2 = Ec2Key(**facts["ec2"]) if facts["ec2"] else None
    return Access(facts["credential_id"], facts["credential_secret"], ec2)


def hand_out(places: Places, sites: Mapping[str, Access]) -> None:
    """Write clouds.yaml and the S3 key where a user of Chameleon keeps them."""
    places.config.mkdir(parents=True, exist_ok=True)
    places.config.chmod(0o700)
    write_private(places.clouds_file, clouds_yaml(sites))
    for access in sites.values():
        if access.ec2 is not None:
            write_private(places.ec2_file, json.dumps(asdict(access.ec2), indent=2) + "\n")


def clouds_yaml(sites: Mapping[str, Access]) -> str:
    """clouds.yaml text, one entry a site. JSON is YAML, and needs no library to be right."""
    clouds = {
        name: {
            "auth_type": "v3applicationcredential",
            "auth": {
                "auth_url": SITES[name].auth_url,
                "application_credential_id": access.credential_id,
                "application_credential_secret": access.credential_secret,
            },
            "region_name": SITES[name].region,
            "interface": "public",
            "identity_api_version": 3,
        }
        for name, access in sites.items()
    }
    return json.dumps({"clouds": clouds}, indent=2) + "\n"


def write_private(path: Path, text: str) -> None:
    """A file only its owner reads, never half written."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    fresh.touch(mode=0o600)
    fresh.write_text(text)
    fresh.replace(path)
