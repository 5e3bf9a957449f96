"""The sealed network: one network namespace without uplink, bridges for the sites, floating IPs and security groups.

Standard library only: the clouds import this inside another virtual environment.
"""

from rehearsal.network.bridges import apply, clear, delete_bridge, ensure_bridge, list_bridges
from rehearsal.network.namespace import inside, netns
from rehearsal.network.rules import FloatingIp, Network, Port, SecurityRule, SiteRules, render
from rehearsal.network.seal import seal_problems
from rehearsal.network.sealed import destroy, down, is_up, leftovers, up

APT_PACKAGES = ("iproute2", "nftables", "procps", "util-linux")

__all__ = [
    "APT_PACKAGES",
    "FloatingIp",
    "Network",
    "Port",
    "SecurityRule",
    "SiteRules",
    "apply",
    "clear",
    "delete_bridge",
    "destroy",
    "down",
    "ensure_bridge",
    "inside",
    "is_up",
    "leftovers",
    "list_bridges",
    "netns",
    "render",
    "seal_problems",
    "up",
]
