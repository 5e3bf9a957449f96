"""What the operator holds outside the checkout and hosts are given: the ssh key, the registry's credentials."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from provision import cloud_config, shell
from provision.clouds.nova import without_comment
from provision.errors import PreconditionMissing
from provision.settings import Settings
from provision.site import Site
from provision.state import write_atomic


def own_key(site: Site) -> str:
    """The operator's public key without its comment; '' before it is made."""
    path = site.hosts.key.with_suffix(".pub")
    return without_comment(path.read_text()) if path.exists() and site.hosts.key.exists() else ""


def make_own_key(site: Site) -> None:
    """Made once, outside the checkout. Both sites may come here at once, and a run may be killed anywhere in it:
    the private key appears whole or not at all, by whoever is first; the public one follows from it.
    """
    path = site.hosts.key
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        with TemporaryDirectory(dir=path.parent, prefix=".key-") as folder:
            fresh, comment = Path(folder) / path.name, f"tandem-{site.settings.platform}"
            shell.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", fresh], deadline_s=20)
            with suppress(FileExistsError):
                os.link(fresh, path)
    if not path.with_suffix(".pub").exists():
        told = shell.run(["ssh-keygen", "-y", "-f", path], deadline_s=20)
        write_atomic(path.with_suffix(".pub"), told.stdout, 0o644)


def auth_text(settings: Settings) -> str:
    """The registry auth file, from the credentials outside the checkout. Raises PreconditionMissing.

    A mirror answers for every upstream name; without one, credentials are good for their own host, or there are none.
    """
    path = settings.config_dir / "registry.json"
    mirror = settings.registry.mirror
    if not mirror and not path.exists():
        return cloud_config.auth_file((), "", "")
    try:
        told = json.loads(path.read_text())
        user, password = str(told["user"]), str(told["password"])
        hosts = (*settings.registry.upstreams, mirror) if mirror else (str(told["host"]),)
    except (OSError, ValueError, KeyError) as error:
        raise PreconditionMissing(
            "no credentials for the registry",
            why=f"{path}: {error}",
            next=f'write {{"user", "password", "host"}} into {path}, or: invoke rehearsal.up',
        ) from error
    return cloud_config.auth_file(hosts, user, password)
