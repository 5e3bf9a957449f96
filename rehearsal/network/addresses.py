"""The addresses of the rehearsal. They are fixed: the environment's file and the clouds name the same ones."""

from __future__ import annotations

import hashlib

# Everything the rehearsal may ever use: services and floating IPs, private networks, pods and services of each site.
PREFIXES = ("10.30.0.0/16", "10.31.0.0/16", "10.32.0.0/16", "10.233.0.0/16", "10.234.0.0/16")

UPLINK_CIDR = "10.30.0.0/24"
MACHINE_ADDRESS = "10.30.0.1"
NETNS_ADDRESS = "10.30.0.2"
# Artifacts, cloud kvm-tacc, cloud chi-uc. Hosts may open connections to these and to floating IPs, to nothing else.
SERVICE_ADDRESSES = ("10.30.0.5", "10.30.0.10", "10.30.0.20")
PUBLIC_CIDRS = ("10.30.1.0/24", "10.30.2.0/24")

# The namespace's end of the veth; the machine's end carries the platform's name.
UPLINK = "machine0"


def veth(platform: str) -> str:
    """The machine's end of the veth: `tandem0`, or a name of its own for any other platform than the default."""
    if platform == "rehearsal":
        return "tandem0"
    return "td-" + hashlib.sha256(platform.encode()).hexdigest()[:6]
