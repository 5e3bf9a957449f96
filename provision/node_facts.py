"""What a host tells of itself: one small script through ssh, everything `nodes` wants to know in one answer.

The script is plain Python of the host's own interpreter; it reads, and starts at most one program.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from provision.errors import DeadlineExceeded
from provision.hosts import SSH_FAILED, Hosts

DEADLINE_S = 30.0
AUTH_FILES = ("/root/.docker/config.json", "/var/lib/kubelet/config.json")

SCRIPT = r"""
import ctypes, hashlib, json, os, stat, subprocess, sys
import xml.etree.ElementTree as xml

ask = json.loads(sys.argv[1])

def cloud_init():
    if os.path.exists("/run/cloud-init/disabled"):
        return "done"
    try:
        with open("/run/cloud-init/result.json") as file:
            errors = json.load(file)["v1"]["errors"]
    except (OSError, ValueError, KeyError):
        return "running"
    return "error: " + "; ".join(errors) if errors else "done"

def disk(device, mount):
    try:
        block = os.stat(device)
    except OSError:
        return {"there": False, "mounted": False}
    mounted = os.path.ismount(mount) and os.stat(mount).st_dev == block.st_rdev
    try:
        with open("/etc/fstab") as file:
            listed = any(line.split()[1:2] == [mount] for line in file if not line.startswith("#"))
    except OSError:
        listed = False
    return {"there": stat.S_ISBLK(block.st_mode), "mounted": mounted and listed}

def digest(path):
    try:
        with open(path, "rb") as file:
            told = hashlib.sha256(file.read()).hexdigest()
            return "%s %o" % (told, os.fstat(file.fileno()).st_mode & 0o777)
    except OSError:
        return ""

def zone(name):
    for folder in ("/etc/firewalld/zones", "/usr/lib/firewalld/zones"):
        try:
            return xml.parse("%s/%s.xml" % (folder, name)).getroot()
        except OSError:
            continue
    return xml.Element("zone")

def firewall():
    if subprocess.run(["systemctl", "is-active", "--quiet", "firewalld"]).returncode:
        return []
    trusted, public = zone("trusted"), zone("public")
    found = ["trusted " + item.get("address", "") for item in trusted.findall("source")]
    found += ["trusted " + item.get("name", "") for item in trusted.findall("interface")]
    found += ["%s/%s" % (item.get("port"), item.get("protocol")) for item in public.findall("port")]
    services = [item.get("name", "") for item in public.findall("service")]
    found += ["22/tcp"] if "ssh" in services else []
    # dhcpv6-client is the host's own question for an address, in every image.
    return found + ["service " + name for name in services if name not in ("ssh", "dhcpv6-client")]

def gpus():
    try:
        library = ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return 0
    count = ctypes.c_uint(0)
    if library.nvmlInit_v2() or library.nvmlDeviceGetCount_v2(ctypes.byref(count)):
        return 0
    return count.value

print(json.dumps({
    "cloud_init": cloud_init(),
    "disk": disk(ask["device"], ask["mount"]) if ask["device"] else {},
    "files": {path: digest(path) for path in ask["files"]},
    "firewall": firewall() if ask["firewall"] else [],
    "gpus": gpus() if ask["gpus"] else 0,
}))
"""


@dataclass(frozen=True, slots=True)
class Question:
    """What to ask a host. device: of the volume, '' for none. files: whose digests to tell."""

    device: str = ""
    mount: str = ""
    files: tuple[str, ...] = ()
    firewall: bool = False
    gpus: bool = False


@dataclass(frozen=True)
class Told:
    """A host's answer. answers: False when ssh did not. cloud_init: running, done, or `error: ...`.

    files: path -> `sha256 mode`. firewall: what firewalld lets in, e.g. `trusted 10.1.0.0/16`, `22/tcp`,
    `service cockpit`.
    """

    answers: bool = False
    cloud_init: str = ""
    disk: bool = False
    mounted: bool = False
    files: Mapping[str, str] = field(default_factory=dict)
    firewall: Sequence[str] = ()
    gpus: int = 0


def ask(hosts: Hosts, node: str, question: Question) -> Told:
    """One ssh call. A host that does not answer is a fact, not an error."""
    wanted = {
        "device": question.device,
        "mount": question.mount,
        "files": list(question.files),
        "firewall": question.firewall,
        "gpus": question.gpus,
    }
    argv = ["python3", "-", json.dumps(wanted)]
    try:
        answer = hosts.run(node, argv, deadline_s=DEADLINE_S, ok=(0, SSH_FAILED), stdin=SCRIPT)
    except DeadlineExceeded:
        return Told()
    return Told() if answer.code else parse(answer.stdout)


def parse(text: str) -> Told:
    """The script's answer. Pure."""
    told = json.loads(text)
    disk = told["disk"]
    return Told(
        answers=True,
        cloud_init=told["cloud_init"],
        disk=bool(disk.get("there")),
        mounted=bool(disk.get("mounted")),
        files=told["files"],
        firewall=tuple(told["firewall"]),
        gpus=told["gpus"],
    )
