"""What a server is told at birth and what lies on it: cloud-config, firewall, registry auth file, disk. Pure."""

from __future__ import annotations

import json
import shlex
from base64 import b64encode
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network

from provision.errors import SettingsError
from provision.settings import Rule, SiteSettings

ANYWHERE = IPv4Network("0.0.0.0/0")
POD_BRIDGE = "cni0"
NOT_OURS = 65
"""How `disk_script` ends when the device bears something that is not ours."""
DOCKER_HUB = "https://index.docker.io/v1/"
"""Under which Docker's own tools keep their credentials for docker.io."""


def user_data(site: SiteSettings) -> str:
    """cloud-config text. JSON is YAML; nothing in it is secret."""
    told: dict[str, object] = {"package_update": False, "package_upgrade": False}
    if site.node_packages:
        told |= {"package_update": True, "packages": list(site.node_packages)}
    if not site.network.security_groups:
        told["runcmd"] = firewall_commands(site.network.rules)
    return "#cloud-config\n" + json.dumps(told, indent=1) + "\n"


def firewall_openings(rules: Iterable[Rule]) -> tuple[str, ...]:
    """What firewalld has to let in, as node_facts tells it: `trusted SOURCE`, `PORT/PROTOCOL`."""
    return (f"trusted {POD_BRIDGE}", *(dict.fromkeys(_opening(rule) for rule in rules)))


def firewall_commands(rules: Iterable[Rule]) -> list[list[str]]:
    """firewalld where the site has no security groups: kept on, whatever the image does; for good, and at once."""
    commands = [["systemctl", "enable", "--now", "--quiet", "firewalld"]]
    for opening in firewall_openings(rules):
        zone, _, source = opening.rpartition(" ")
        if not zone:
            what = [f"--add-port={opening}"]
        elif source == POD_BRIDGE:
            what = ["--zone=trusted", f"--add-interface={source}"]
        else:
            what = ["--zone=trusted", f"--add-source={source}"]
        commands.append(["firewall-cmd", "--quiet", "--permanent", *what])
    return [*commands, ["firewall-cmd", "--quiet", "--reload"]]


def closing_commands(openings: Iterable[str]) -> list[list[str]]:
    """firewalld let in no more what node_facts told of and nobody planned; good after the reload that follows."""
    commands = []
    for opening in sorted(openings):
        kind, _, what = opening.rpartition(" ")
        if kind == "service":
            words = [f"--remove-service={what}"]
        elif kind:
            words = ["--zone=trusted", f"--remove-{'source' if what[:1].isdigit() else 'interface'}={what}"]
        else:
            words = [f"--remove-port={what}"]
        commands.append(["firewall-cmd", "--quiet", "--permanent", *words])
    return commands


def _opening(rule: Rule) -> str:
    """A source that may do anything is trusted; a port is open to all. Raises SettingsError for a port for some."""
    if rule.protocol == "any":
        return f"trusted {rule.source}"
    if rule.source != ANYWHERE:
        raise SettingsError(
            f"network.rules: {rule.protocol} {rule.port_from} from {rule.source}",
            why="a site without security groups opens a port to all, or everything to a source",
            next="edit that rule in provision/environments/",
        )
    ports = str(rule.port_from) if rule.port_from == rule.port_to else f"{rule.port_from}-{rule.port_to}"
    return f"{ports}/{rule.protocol}"


def shell_lines(commands: Sequence[Sequence[str]]) -> str:
    """Commands as a shell script."""
    return "".join(f"{shlex.join(command)}\n" for command in commands)


def auth_file(hosts: Iterable[str], user: str, password: str) -> str:
    """The registry auth file: one entry a registry name, because the kubelet looks under the image's own name."""
    auth = b64encode(f"{user}:{password}".encode()).decode()
    names = [name for host in hosts for name in ((DOCKER_HUB, host) if host == "docker.io" else (host,))]
    return json.dumps({"auths": {name: {"auth": auth} for name in names}}, indent=1) + "\n"


def device(volume_id: str) -> str:
    """Where a volume appears in its host: virtio hands on the first 20 characters of its id."""
    return f"/dev/disk/by-id/virtio-{volume_id[:20]}" if volume_id else ""


def disk_script(device: str, label: str, mount: str) -> str:
    """Format once, mount by label. What bears any signature but our label is never touched: NOT_OURS."""
    dev, tag, where = (shlex.quote(word) for word in (device, label, mount))
    return f"""\
code=0
found=$(blkid -p -o export {dev}) || code=$?
if [ "$code" -eq 2 ]; then
    mkfs.ext4 -q -L {tag} {dev}
elif [ "$code" -ne 0 ] || ! printf '%s\\n' "$found" | grep -qx LABEL={tag}; then
    echo "{dev} bears a signature that is not ours: $found" >&2
    exit {NOT_OURS}
fi
mkdir -p {where}
if ! grep -qE "^[^#]+[[:space:]]{mount}[[:space:]]" /etc/fstab; then
    echo "LABEL={label} {mount} ext4 defaults,nofail,x-systemd.device-timeout=30s 0 2" >> /etc/fstab
fi
mountpoint -q {where} || mount {dev} {where}
"""
