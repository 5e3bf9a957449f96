"""Whether hosts, files and images are there for Kubespray, asked of the hosts themselves before it starts.

It would find most of this out after minutes, in a task that hides its reason, or not at all: a full disk ends in pods
that stay Pending, with Kubespray green.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provision import checkout
from provision.errors import CommandFailed, DeadlineExceeded, PreconditionMissing
from provision.node_facts import AUTH_FILES
from provision.settings import Registry
from provision.site import Site

HOST_S, FETCH_S = 60.0, 900.0
SCRIPTS = Path(__file__).with_name("scripts")
SUMS = "SHA256SUMS"
NOFILE, GC_PERCENT = 65535, 85
"""Kubespray's and the kubelet's defaults."""
ROOM_GIB = 8.0
"""What binaries, images and etcd of an empty cluster take, and the applications' first images."""
SKEW_S = 5.0
PYTHON = (3, 8)
"""The oldest that ansible-core 2.18 drives."""
TOOLS = ("iptables", "nft", "conntrack", "openssl", "tar", "gzip", "mount")


@dataclass(frozen=True)
class Host:
    """What one host told. free_*: of the disk under /var/lib. skew_s: how far its clock is from ours."""

    python: tuple[int, ...]
    free_gib: float
    free_percent: float
    nofile: int
    skew_s: float
    lacks: tuple[str, ...] = ()


def check(site: Site, variables: Mapping[str, Any]) -> Mapping[str, str]:
    """Everything of a site. Returns the sums that differ from Kubespray's own: variable -> `sha256:...`.

    variables: those that Kubespray will get. Raises PreconditionMissing that names every fault at once.
    """
    names = [node.name for node in site.own.nodes]
    with ThreadPoolExecutor(max_workers=len(names)) as pool:
        hosts = dict(zip(names, pool.map(lambda name: _ask_host(site, name), names), strict=True))
    # With package sources Kubespray installs the tools itself.
    tools = bool(site.settings.registry.files)
    found = [f"{name}: {fault}" for name, host in hosts.items() for fault in host_faults(host, variables, tools=tools)]
    told = _ask_sources(site)
    sums = parse_sums(told["sums"]) if site.settings.registry.files else None
    found += [*file_faults(told["files"], sums), *image_faults(told["images"])]
    if found:
        raise PreconditionMissing(
            f"{site.name}: Kubespray would fail here",
            why="\n".join(found),
            next=f"mend that, then: invoke provision.kubespray --site {site.name}",
        )
    return overrides(told["files"])


def host_faults(host: Host, variables: Mapping[str, Any], *, tools: bool) -> Iterator[str]:
    """By the variables that Kubespray gets: what a kubelet will call full is one of them."""
    high = int(variables.get("kubelet_image_gc_high_threshold", GC_PERCENT))
    nofile = int(variables.get("containerd_base_runtime_spec_rlimit_nofile", NOFILE))
    if host.python < PYTHON:
        yield f"Python {'.'.join(map(str, host.python))}, Ansible needs {'.'.join(map(str, PYTHON))}"
    if host.free_percent <= 100 - high:
        yield f"{host.free_percent:.0f} % of its disk free: under {100 - high} % a kubelet deletes images"
    if host.free_gib < ROOM_GIB:
        yield f"{host.free_gib:.1f} GiB of its disk free, {ROOM_GIB:.0f} needed"
    if host.nofile < nofile:
        yield f"at most {host.nofile} open files, containers get {nofile}"
    if abs(host.skew_s) > SKEW_S:
        yield f"its clock is {host.skew_s:+.0f} s from this machine's"
    if tools and host.lacks:
        yield f"no {', '.join(host.lacks)}, and no package source"


def file_faults(told: Mapping[str, str], sums: Mapping[str, str] | None) -> Iterator[str]:
    """told: path -> the sum of what was read, or `error: ...`. sums: what a mirror says of itself, or None."""
    for file in checkout.lock().files:
        have = told.get(file.path, "error: not asked")
        wanted = file.sha256 if sums is None else sums.get(file.path, "")
        if not wanted:
            yield f"{file.path}: not in the mirror's {SUMS}"
        elif have.startswith("error: "):
            yield f"{file.path}: {have.removeprefix('error: ')}"
        elif have != wanted:
            yield f"{file.path}: sha256 {have}, want {wanted}"


def image_faults(told: Mapping[str, str]) -> Iterator[str]:
    """told: image -> '' or what its registry answered."""
    images = checkout.lock().images
    yield from (f"{image}: {fault}" for image in images if (fault := told.get(image, "not asked")))


def overrides(told: Mapping[str, str]) -> Mapping[str, str]:
    """For files that a mirror built itself: Kubespray's variable -> their sum."""
    files = checkout.lock().files
    return {file.variable: f"sha256:{told[file.path]}" for file in files if told[file.path] != file.sha256}


def parse_sums(text: str) -> Mapping[str, str]:
    """path -> sha256, from what sha256sum writes."""
    return {path: digest for digest, _, path in (line.partition("  ") for line in text.splitlines()) if path}


def questions(registry: Registry, auth: str) -> dict[str, Any]:
    """What the script is asked. auth: user:password in base64, of the mirror; through stdin, never in argv."""
    base = registry.files or "https:/"
    scheme = "http" if registry.plain_http else "https"
    return {
        "files": {file.path: f"{base}/{file.path}" for file in checkout.lock().files},
        "sums": f"{registry.files}/{SUMS}" if registry.files else "",
        "images": {image: _manifest(image, registry.mirror, scheme) for image in checkout.lock().images},
        "auth": auth if registry.mirror else "",
    }


def _manifest(image: str, mirror: str, scheme: str) -> str:
    host, _, rest = image.partition("/")
    path, _, tag = rest.rpartition(":")
    return f"{scheme if mirror else 'https'}://{mirror or host}/v2/{path}/manifests/{tag}"


def _ask_host(site: Site, node: str) -> Host:
    began = time.time()
    told = on_host(site, node, "host_facts.py", {"tools": list(TOOLS)}, HOST_S)
    # How long ssh took is not known: a clock is wrong by as much as it lies outside the question and the answer.
    skew = max(0.0, told["clock"] - time.time()) + min(0.0, told["clock"] - began)
    python, lacks = tuple(told["python"]), tuple(told["lacks"])
    return Host(python, told["free_gib"], told["free_percent"], told["nofile"], skew, lacks)


def _ask_sources(site: Site) -> Any:
    """By the entry node, as containerd and Kubespray will ask: with the mirror's credentials of its own auth file."""
    registry, entry, auth = site.settings.registry, site.own.entry.name, ""
    if registry.mirror:
        told = json.loads(site.hosts.run(entry, ["cat", AUTH_FILES[0]]).stdout)
        auth = str(told["auths"][registry.mirror]["auth"])
    return on_host(site, entry, "sources.py", questions(registry, auth), FETCH_S)


def on_host(site: Site, node: str, script: str, asked: Mapping[str, Any], deadline_s: float) -> Any:
    """What a script of provision/scripts/ answers there. The question, which may hold a secret, goes through stdin."""
    argv = ["python3", "-c", (SCRIPTS / script).read_text()]
    try:
        answer = site.hosts.run(
            node, argv, deadline_s=deadline_s, stdin=json.dumps(asked), heartbeat=f"{node}: {script}"
        )
    except (CommandFailed, DeadlineExceeded) as failed:
        again = f"invoke provision.nodes --site {site.name}"
        raise PreconditionMissing(
            f"{site.name}: {node} did not answer {script}", why=failed.why, next=again
        ) from failed
    return json.loads(answer.stdout)
