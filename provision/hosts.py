"""The door to a site's hosts: ssh with our key, our known_hosts, our config file, and nothing ambient.

The same `ssh_config` serves tandem, Ansible and pytest-testinfra; one multiplexed connection a host.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address
from pathlib import Path

from provision import shell
from provision.errors import CommandFailed, DeadlineExceeded, PreconditionMissing
from provision.settings import Node, Settings, SiteSettings
from provision.state import write_atomic

SSH_FAILED = 255


@dataclass(frozen=True)
class Hosts:
    """ssh to the nodes of one site.

    floating: asks the cloud for the entry node's floating IP (called once, when first needed).
    """

    settings: Settings
    site_name: str
    floating: Callable[[], IPv4Address | None]

    @property
    def site(self) -> SiteSettings:
        """This site's settings."""
        return self.settings.sites[self.site_name]

    @property
    def key(self) -> Path:
        """The operator's private key; made once, outside the checkout."""
        return self.settings.config_dir / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        """Host keys seen, by node name. Pinned at first sight; `forget` when a server is made anew."""
        return self.settings.config_dir / f"known_hosts.{self.site_name}"

    @cached_property
    def config(self) -> Path:
        """The ssh_config file of this site, written when first needed."""
        address = self.floating()
        if address is None:
            raise PreconditionMissing(
                f"{self.site_name}: its entry node has no floating IP",
                next=f"invoke provision.network --site {self.site_name}",
            )
        path = self.settings.state_dir / f"ssh_config.{self.site_name}"
        write_atomic(path, render_config(self, address))
        return path

    def argv(self, node: str) -> list[str]:
        """The ssh command line up to where the remote command follows."""
        return ["ssh", "-F", str(self.config), node]

    def run(
        self,
        node: str,
        argv: Sequence[str],
        *,
        deadline_s: float = 60.0,
        ok: Sequence[int] = (0,),
        stdin: str | None = None,
        log: Path | None = None,
        heartbeat: str = "",
        redact: Sequence[str] = (),
    ) -> shell.Result:
        """Run one command as root on a node. Each word is quoted; 255 (ssh itself failed) is never an answer."""
        remote = "sudo -n -- " + " ".join(shlex.quote(word) for word in argv)
        return shell.run(
            [*self.argv(node), "--", remote],
            deadline_s=deadline_s,
            ok=ok,
            stdin=stdin,
            log=log,
            heartbeat=heartbeat,
            redact=redact,
        )

    def script(self, node: str, text: str, *, deadline_s: float = 60.0, ok: Sequence[int] = (0,)) -> shell.Result:
        """Run a shell script from stdin as root, stopping at the first failure."""
        return self.run(node, ["sh", "-eu"], deadline_s=deadline_s, ok=ok, stdin=text)

    def put(self, node: str, path: str, text: str, *, mode: str = "0644") -> None:
        """Write a whole file on a node, atomically, through stdin (so no secret is in argv)."""
        part = f"{path}.part"
        folder = os.path.dirname(path)
        quoted = [shlex.quote(word) for word in (folder, part, path)]
        self.run(
            node,
            [
                "sh",
                "-euc",
                f"umask 077; mkdir -p {quoted[0]}; cat > {quoted[1]}; chmod {mode} {quoted[1]}; "
                f"mv {quoted[1]} {quoted[2]}",
            ],
            stdin=text,
        )

    def answers(self, node: str) -> bool:
        """Whether ssh works as our user with sudo. One try, a few seconds."""
        try:
            self.run(node, ["true"], deadline_s=15.0)
        except (CommandFailed, DeadlineExceeded):
            return False
        return True

    def forget(self, node: str) -> None:
        """Drop a node's pinned host key and connection: its server is made anew, or gone."""
        if self.known_hosts.exists():
            shell.run(["ssh-keygen", "-q", "-f", self.known_hosts, "-R", node], deadline_s=10.0, ok=(0, 1))
        self.hang_up(node)

    def hang_up(self, node: str) -> None:
        """Close the multiplexed connection to a node, if there is one."""
        path = self.settings.state_dir / f"ssh_config.{self.site_name}"
        if path.exists():
            shell.run(["ssh", "-F", path, "-O", "exit", node], deadline_s=10.0, ok=(0, SSH_FAILED))

    def hang_up_all(self) -> None:
        """Close all connections of this site."""
        for node in self.site.nodes:
            self.hang_up(node.name)


def render_config(hosts: Hosts, floating: IPv4Address) -> str:
    """The ssh_config: entry node by floating IP, the others through it. Pure but for paths."""
    # A control socket's path must stay under 104 bytes, wherever the checkout lies.
    control = f"/tmp/tandem-{hosts.settings.platform}-%C"
    common = [
        "Host *",
        f"  User {hosts.site.user}",
        f"  IdentityFile {hosts.key}",
        "  IdentitiesOnly yes",
        f"  UserKnownHostsFile {hosts.known_hosts}",
        "  GlobalKnownHostsFile /dev/null",
        "  StrictHostKeyChecking accept-new",
        "  BatchMode yes",
        "  ConnectTimeout 8",
        "  ServerAliveInterval 10",
        "  ServerAliveCountMax 3",
        "  ControlMaster auto",
        f"  ControlPath {control}",
        "  ControlPersist 120",
        "  LogLevel ERROR",
    ]
    return "\n".join([line for node in hosts.site.nodes for line in _stanza(hosts, node, floating)] + common) + "\n"


def _stanza(hosts: Hosts, node: Node, floating: IPv4Address) -> list[str]:
    entry = hosts.site.entry
    where = str(floating) if node == entry else str(node.address)
    lines = [f"Host {node.name}", f"  HostName {where}", f"  HostKeyAlias {node.name}"]
    if node != entry:
        # Written out because ProxyJump would start an ssh without our -F.
        lines.append(
            f"  ProxyCommand ssh -F {hosts.settings.state_dir}/ssh_config.{hosts.site_name} -W %h:%p {entry.name}"
        )
    return [*lines, ""]
