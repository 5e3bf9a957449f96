"""This machine: programs, disk, stray variables, and for a testbed names and registries."""

from __future__ import annotations

import os
import socket
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from provision import embedded, engines, shell
from provision.doctor.finding import Finding
from provision.settings import Settings, cache_dir

TOOLS = {"git": "apt-get install -y git", "ssh": "apt-get install -y openssh-client"}
CLUSTER_TOOLS = ("kubectl", "helm", "sops")
REQUEST_S = 10
HUB = "docker.io"
HUB_API = "https://registry-1.docker.io/v2/"
"""Docker Hub's API; how many images it still gives is told in the headers of this (empty) repository's manifest."""
HUB_PROBE = "ratelimitpreview/test"
ENOUGH_PULLS = 40
"""About what one site pulls from Docker Hub in a run."""

Headers = Mapping[str, str]
Fetch = Callable[[str, Headers], tuple[int, Headers, bytes]]
Resolve = Callable[[str], str]


def tools() -> Iterator[Finding]:
    """What every environment needs."""
    for tool, install in TOOLS.items():
        yield program(tool, install)


def program(tool: str, install: str) -> Finding:
    """Whether a program is on PATH."""
    found = shell.find(tool)
    return Finding(tool, found is not None, str(found or "not on PATH"), install)


def strays() -> Finding:
    """OS_* variables: tandem never reads them, but openstack's own client does, and they beat its clouds.yaml."""
    found = sorted(name for name in os.environ if name.startswith("OS_"))
    return Finding("stray OS_*", not found, ", ".join(found) or "none", f"unset {' '.join(found)}")


def rehearsal(settings: Settings, free_gib: float) -> Iterator[Finding]:
    """What the embedded clouds need of this machine. free_gib: where the caches lie."""
    yield Finding("root", os.geteuid() == 0, f"uid {os.geteuid()}", "sudo ./tandem invoke provision.all")
    yield program("apt-get", "the rehearsal needs Debian or Ubuntu; --env chameleon does not")
    yield program("go", "install Go 1.26 or newer (only needed until every binary is cached)")
    gib, why = embedded.disk_needed(settings)
    told = f"{free_gib:.0f} GiB free for {cache_dir()}, {gib} needed: {why}"
    yield Finding("disk", free_gib >= gib, told, "free some, or set TANDEM_CACHE to a larger disk")
    yield engine(settings)
    yield Finding("rehearsal", True, "up" if embedded.is_up(settings) else "not up: provision.all starts it")


def testbed(settings: Settings) -> Iterator[Finding]:
    """What driving a testbed needs of this machine."""
    for tool in CLUSTER_TOOLS:
        yield program(tool, f"install {tool}, or run the rehearsal once: it resolves it into {cache_dir() / 'tools'}")
    yield engine(settings)
    names = [host for site in settings.sites.values() if (host := urlsplit(site.auth_url).hostname)]
    yield from (name(host) for host in names)


def engine(settings: Settings) -> Finding:
    """Who would make the clusters; a fallback is fine where the environment allows one."""
    refused = engines.refusals(settings)
    why = refused[0].why if refused else engines.choose(settings).text()
    return Finding("engine", not refused, why, refused[0].next if refused else "")


def name(host: str, resolve: Resolve = socket.gethostbyname) -> Finding:
    """Whether a name is known here."""
    try:
        return Finding(f"DNS {host}", True, resolve(host))
    except OSError as error:
        return Finding(f"DNS {host}", False, str(error), f"getent hosts {host}   (resolver: /etc/resolv.conf)")


def fetch(url: str, headers: Headers) -> tuple[int, Headers, bytes]:
    """One GET or, of a manifest, HEAD; an HTTP error is an answer. Raises OSError."""
    method = "HEAD" if "/manifests/" in url else "GET"
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url, headers=dict(headers), method=method), timeout=REQUEST_S
        ) as answer:
            return answer.status, {key.lower(): value for key, value in answer.headers.items()}, answer.read()
    except HTTPError as error:
        return error.code, {key.lower(): value for key, value in error.headers.items()}, b""
    except URLError as error:
        raise OSError(str(error.reason)) from error
