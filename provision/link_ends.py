"""The link's two ends in the world: the files and the unit on its nodes, the Services in the clusters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from provision import link, manifests
from provision.appsecrets import LINK_NAMESPACE
from provision.link import Facts, File, Probe
from provision.site import Site


def probe(site: Site) -> Probe:
    """What a site's link node says of itself."""
    return link.read_probe(site.hosts.script(site.own.entry.name, link.PROBE).stdout)


def files(site: Site, host_key: str, pair: Mapping[str, str]) -> tuple[File, ...]:
    """The files of a site's end. host_key: the server's, for the client. pair: the vault's key pair, if it has one."""
    if site.name == site.settings.link.server:
        return link.server_files(site.settings, Facts(public_key=pair.get("public", "")))
    facts = Facts(site.peer().cloud.floating_address(), host_key)
    return link.client_files(site.settings, facts, pair.get("private", ""))


def put(site: Site, files: Sequence[File]) -> None:
    """Make the user, write the files; sshd is reloaded, the unit restarted."""
    node = site.own.entry.name
    site.hosts.script(node, link.MAKE_USER)
    for file in files:
        if file.path == link.SERVER_SSHD:  # written, tried and loaded by one command: a kill cannot part them
            site.hosts.run(node, ["sh", "-euc", link.INSTALL_SSHD], stdin=file.text)
        else:
            site.hosts.put(node, file.path, file.text, mode=file.mode)
    if site.name == site.settings.link.client:
        site.hosts.script(node, link.START_UNIT)


def services(site: Site) -> Mapping[str, str]:
    """name -> `port address:port` of our Services; one without a slice leads nowhere and is left out."""
    objects = site.kube.get(
        "services,endpointslices.discovery.k8s.io",
        namespace=LINK_NAMESPACE,
        selector=f"{manifests.OWNER}={site.settings.platform}",
    )
    ports = {_name(item): item["spec"]["ports"][0]["port"] for item in objects if item["kind"] == "Service"}
    ends = {_name(item): _socket(item) for item in objects if item["kind"] == "EndpointSlice"}
    return {name: f"{port} {ends[name]}" for name, port in ports.items() if name in ends}


def put_service(site: Site, name: str, leads: str) -> None:
    """Server-side apply of a Service and its slice. leads: `port address:port`."""
    port, _, socket = leads.partition(" ")
    address, _, listens = socket.partition(":")
    platform = site.settings.platform
    site.kube.apply(
        [
            manifests.service(platform, name, LINK_NAMESPACE, int(port)),
            manifests.endpoint_slice(platform, name, LINK_NAMESPACE, address, int(listens)),
        ]
    )


def remove_service(site: Site, name: str) -> None:
    """Delete a Service and its slice; silent if they are gone."""
    site.kube.run("delete", "service,endpointslice", name, "-n", LINK_NAMESPACE, "--ignore-not-found")


def _name(item: Mapping[str, Any]) -> str:
    return str(item["metadata"]["name"])


def _socket(item: Mapping[str, Any]) -> str:
    if not item.get("endpoints") or not item.get("ports"):
        return "nothing"
    return f"{item['endpoints'][0]['addresses'][0]}:{item['ports'][0]['port']}"
