"""Services of a site on this machine's loopback, through the ssh connection to the site's entry node.

What is asked so is the application itself, from where its operator sits; nothing of the cluster is changed for it.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from provision import shell
from provision.errors import PreconditionMissing
from provision.settings import Forward, Settings
from provision.site import Site

CONTROL_S = 15.0


@contextmanager
def forwarded(site: Site, target: str) -> Iterator[int]:
    """The loopback port that leads to `address:port` as the entry node sees it."""
    port = _free_port()
    rule = ("-L", f"127.0.0.1:{port}:{target}")
    _control(site, "forward", rule)
    try:
        yield port
    finally:
        _control(site, "cancel", rule)


def row(settings: Settings, service: str) -> Forward:
    """A row of the link's table. Raises PreconditionMissing."""
    found = next((forward for forward in settings.link.forwards if forward.service == service), None)
    if found is None:
        raise PreconditionMissing(
            f"{settings.env}: the link has no {service}", next=f"invoke provision.plan --env {settings.env}"
        )
    return found


def target(forward: Forward) -> str:
    """`address:port` of a Service at its own site: ssh on a host knows no cluster DNS."""
    return f"{forward.target_ip}:{forward.target_port}"


def _control(site: Site, verb: str, rule: Sequence[str]) -> None:
    """`ssh -O forward|cancel` on the shared connection, opened first if it is not."""
    entry = site.own.entry.name
    if verb == "forward":
        site.hosts.run(entry, ["true"])
    shell.run([*site.hosts.argv(entry)[:-1], "-O", verb, *rule, entry], deadline_s=CONTROL_S)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port
