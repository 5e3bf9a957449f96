"""Custom resource definitions: fetched from where their release publishes them, checked, applied before it."""

from __future__ import annotations

import hashlib
from urllib.error import URLError
from urllib.request import urlopen

from provision.errors import CommandFailed, PlatformError
from provision.releases import Crds
from provision.settings import Settings
from provision.site import Site

FETCH_S = 60.0
APPLY_S = 120.0


def apply(site: Site, crds: Crds) -> None:
    """Server-side, as they are: the large ones do not fit into the annotation of a client-side apply."""
    site.kube.apply_text(fetch(crds, site.settings), deadline_s=APPLY_S)


def fetch(crds: Crds, settings: Settings) -> str:
    """The text, from the mirror where there is one. Raises PlatformError when it is not what was pinned."""
    url = address(crds.url, settings)
    try:
        with urlopen(url, timeout=FETCH_S) as answer:
            text: bytes = answer.read()
    except (URLError, TimeoutError) as error:
        raise CommandFailed(f"{url}: cannot be fetched", why=str(error), next="invoke doctor") from error
    found = hashlib.sha256(text).hexdigest()
    if found != crds.sha256:
        raise PlatformError(
            f"{url}: not what chart.toml pins",
            why=f"sha256 {found}, want {crds.sha256}",
            next="compare the file with its release, then set sha256 in chart.toml",
        )
    return text.decode()


def address(url: str, settings: Settings) -> str:
    """Where a vendor's file is had: below the file server of the environment, if it has one."""
    return f"{settings.registry.files}/{url.removeprefix('https://')}" if settings.registry.files else url
