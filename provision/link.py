"""The link's files: what sshd on the server's node and the unit on the client's node are told. Pure rendering.

The server's user can open nothing but the ports of the table: no shell, no command, no other address, either way.
A dead peer's listeners are freed after keepalive_s x keepalive_count by both ends, and the unit tries again every 2 s.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

from provision.settings import Forward, Link, Settings

USER = "tandem-link"
UNIT = "tandem-link.service"
SERVER_KEYS = "/etc/ssh/tandem-link.keys"
SERVER_SSHD = "/etc/ssh/sshd_config.d/50-tandem.conf"
CLIENT_FOLDER = "/etc/tandem/link"
CLIENT_KEY = f"{CLIENT_FOLDER}/id_ed25519"
CLIENT_KNOWN = f"{CLIENT_FOLDER}/known_hosts"
CLIENT_CONFIG = f"{CLIENT_FOLDER}/ssh_config"
CLIENT_UNIT = f"/etc/systemd/system/{UNIT}"
ALIAS = "tandem-link-server"


@dataclass(frozen=True, slots=True)
class File:
    """A file on a node."""

    path: str
    text: str
    mode: str = "0644"

    @property
    def sha256(self) -> str:
        """What sha256sum says of it."""
        return hashlib.sha256(self.text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Facts:
    """What the two ends must know of each other. address: where the server is reached. host_key: `type base64`."""

    address: IPv4Address | None = None
    host_key: str = ""
    public_key: str = ""


def listeners(settings: Settings, site: str) -> tuple[Forward, ...]:
    """The forwards whose listening end is at a site."""
    return tuple(forward for forward in settings.link.forwards if forward.listens == site)


def listening_address(settings: Settings, site: str) -> IPv4Address:
    """The fixed address of a site's link node: listeners bind to it and to nothing else."""
    return settings.sites[site].entry.address


def sockets(settings: Settings, site: str) -> tuple[str, ...]:
    """`address:port` of every listener at a site."""
    return tuple(f"{listening_address(settings, site)}:{forward.port}" for forward in listeners(settings, site))


def server_files(settings: Settings, facts: Facts) -> tuple[File, ...]:
    """authorized_keys of the link's user, and sshd's rules for it."""
    return (
        File(SERVER_KEYS, f"{_key_options(settings)} {facts.public_key}\n"),
        File(SERVER_SSHD, _sshd(settings.link)),
    )


def client_files(settings: Settings, facts: Facts, private_key: str = "") -> tuple[File, ...]:
    """The unit and what it reads."""
    return (
        File(CLIENT_KNOWN, f"{ALIAS} {facts.host_key}\n"),
        File(CLIENT_CONFIG, _client_config(settings, facts)),
        File(CLIENT_UNIT, _unit(settings.link)),
        File(CLIENT_KEY, private_key, "0600"),
    )


# What both ends are asked in one go: the user, sums of our files, the unit, listeners, the host key.
PROBE = f"""
echo "user $(id -u {USER} 2>/dev/null || true)"
for file in {SERVER_KEYS} {SERVER_SSHD} {CLIENT_KEY} {CLIENT_KNOWN} {CLIENT_CONFIG} {CLIENT_UNIT}; do
    if [ -f "$file" ]; then echo "sum $(sha256sum "$file")"; fi
done
echo "unit $(systemctl is-active {UNIT} 2>/dev/null || true) $(systemctl is-enabled {UNIT} 2>/dev/null || true)"
ss -Hltn | awk '{{ print "listens", $4 }}'
echo "host $(cut -d' ' -f1,2 /etc/ssh/ssh_host_ed25519_key.pub)"
"""


MAKE_USER = f"""
id -u {USER} >/dev/null 2>&1 || useradd --system --user-group --no-create-home --home-dir /nonexistent \\
    --shell /usr/sbin/nologin --password '*' {USER}
"""

# sshd's rules from stdin: tried before they are loaded, taken away again when sshd refuses them.
INSTALL_SSHD = f"""
umask 022
cat > {SERVER_SSHD}.part
mv {SERVER_SSHD}.part {SERVER_SSHD}
mkdir -p /run/sshd
/usr/sbin/sshd -t || {{ rm {SERVER_SSHD}; exit 1; }}
systemctl try-reload-or-restart ssh
"""

START_UNIT = f"""
chmod 0755 {CLIENT_FOLDER.rsplit("/", 1)[0]} {CLIENT_FOLDER}
chown {USER}: {CLIENT_KEY}
systemctl daemon-reload
systemctl enable --quiet {UNIT}
systemctl restart {UNIT}
"""

# Either end: what is not there is no fault.
REMOVE = f"""
systemctl disable --quiet --now {UNIT} 2>/dev/null || true
rm -rf {CLIENT_FOLDER} {CLIENT_UNIT} {SERVER_KEYS}
systemctl daemon-reload
if [ -f {SERVER_SSHD} ]; then rm {SERVER_SSHD}; systemctl try-reload-or-restart ssh; fi
pkill -KILL -u {USER} || true
if id -u {USER} >/dev/null 2>&1; then userdel {USER}; fi
"""


@dataclass(frozen=True, slots=True)
class Probe:
    """What a link node answered. unit: `active enabled` and the like."""

    user: bool
    sums: Mapping[str, str]
    unit: str
    listens: tuple[str, ...]
    host_key: str


def read_probe(text: str) -> Probe:
    """The answer of PROBE."""
    rows = [line.split() for line in text.splitlines() if line.strip()]
    of = {kind: [row[1:] for row in rows if row[0] == kind] for kind in ("user", "sum", "unit", "listens", "host")}
    return Probe(
        user=any(of["user"]),
        sums={path: digest for digest, path in of["sum"]},
        unit=" ".join(of["unit"][0]),
        listens=tuple(words[0] for words in of["listens"]),
        host_key=" ".join(of["host"][0]),
    )


def unchanged(files: Sequence[File], probe: Probe) -> tuple[str, ...]:
    """The paths whose content on the node is ours."""
    return tuple(file.path for file in files if probe.sums.get(file.path) == file.sha256)


def _key_options(settings: Settings) -> str:
    """Forwarding of exactly the table's ports: `permitlisten` for -R, `permitopen` for -L."""
    link = settings.link
    listen = [f'permitlisten="{socket}"' for socket in sockets(settings, link.server)]
    opens = dict.fromkeys(f"{forward.target_ip}:{forward.target_port}" for forward in listeners(settings, link.client))
    return ",".join(["restrict", "port-forwarding", *listen, *(f'permitopen="{target}"' for target in opens)])


def _sshd(link: Link) -> str:
    return f"""# tandem: the link's user may forward ports and do nothing else
Match User {USER}
    AuthorizedKeysFile {SERVER_KEYS}
    AuthenticationMethods publickey
    AllowTcpForwarding yes
    AllowStreamLocalForwarding no
    AllowAgentForwarding no
    GatewayPorts clientspecified
    X11Forwarding no
    PermitTTY no
    PermitTunnel no
    PermitUserRC no
    MaxSessions 0
    ForceCommand /bin/false
    ClientAliveInterval {link.keepalive_s}
    ClientAliveCountMax {link.keepalive_count}
"""


def _client_config(settings: Settings, facts: Facts) -> str:
    link = settings.link
    lines = [
        f"Host {ALIAS}",
        f"    HostName {facts.address or 'unknown'}",
        f"    HostKeyAlias {ALIAS}",
        f"    User {USER}",
        f"    IdentityFile {CLIENT_KEY}",
        "    IdentitiesOnly yes",
        f"    UserKnownHostsFile {CLIENT_KNOWN}",
        "    GlobalKnownHostsFile /dev/null",
        "    StrictHostKeyChecking yes",
        "    UpdateHostKeys no",
        "    BatchMode yes",
        "    ConnectTimeout 8",
        f"    ServerAliveInterval {link.keepalive_s}",
        f"    ServerAliveCountMax {link.keepalive_count}",
        "    ExitOnForwardFailure yes",
        "    RequestTTY no",
        "    ForwardAgent no",
        "    LogLevel INFO",
    ]
    for verb, site in (("RemoteForward", link.server), ("LocalForward", link.client)):
        here = listening_address(settings, site)
        lines += [
            f"    {verb} {here}:{forward.port} {forward.target_ip}:{forward.target_port}"
            for forward in listeners(settings, site)
        ]
    return "\n".join(lines) + "\n"


def _unit(link: Link) -> str:
    return f"""[Unit]
Description=tandem: supervised link from {link.client} to {link.server}
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
User={USER}
ExecStart=/usr/bin/ssh -F {CLIENT_CONFIG} -N {ALIAS}
Restart=always
RestartSec=2
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes

[Install]
WantedBy=multi-user.target
"""
