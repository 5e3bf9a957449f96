"""Which of Kubespray's playbooks a cluster needs. Pure: nodes as wanted and as they are -> one operation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from provision import cluster
from provision.cluster import Node
from provision.errors import PreconditionMissing

Name = Literal["cluster", "scale", "upgrade"]
UNKNOWN = ("missing", "has a new server")


@dataclass(frozen=True, slots=True)
class Operation:
    """name: the playbook. nodes: those that it is limited to; none: all."""

    name: Name
    nodes: tuple[str, ...] = ()


def choose(
    wanted: Sequence[str], workers: Sequence[str], nodes: Sequence[Node], version: str, *, same_base: bool
) -> Operation:
    """What a cluster that answers needs. wanted: its nodes' names; workers: those that carry no control plane.

    same_base: it lacks nothing but workers. Raises PreconditionMissing for an upgrade that Kubernetes does not support.
    """
    seen = {node.name: node for node in nodes}
    ill = {name: found for name in wanted if (found := cluster.faults(seen.get(name), version))}
    absent = tuple(name for name, found in ill.items() if found[0] in UNKNOWN)
    others = {name: seen[name].version for name in ill if name not in absent and seen[name].version != version}
    if others:
        for name, has in others.items():
            check_upgrade(name, has, version)
        return Operation("upgrade")
    if same_base and absent and set(absent) == set(ill) and set(absent) <= set(workers):
        return Operation("scale", absent)
    return Operation("cluster")


def check_upgrade(name: str, has: str, wants: str) -> None:
    """One minor version at a time, never back. Raises PreconditionMissing."""
    old, new = parsed(has), parsed(wants)
    if old[:1] == new[:1] and old <= new and new[1] - old[1] <= 1:
        return
    way = (
        f"{wants} is older"
        if new < old
        else f"{wants} is {new[1] - old[1]} minor versions on; kubeadm goes one at a time"
    )
    raise PreconditionMissing(
        f"{name} cannot go from {has} to {wants}",
        why=way,
        next="a version between, or: invoke provision.destroy, then provision.all",
    )


def upgrades(nodes: Sequence[Node], version: str) -> Mapping[str, str]:
    """node -> `current`, `upgrade from X`, or why it cannot be upgraded."""
    told = {}
    for node in nodes:
        try:
            check_upgrade(node.name, node.version, version)
            told[node.name] = "current" if node.version == version else f"upgrade from {node.version}"
        except PreconditionMissing as refusal:
            told[node.name] = f"refused: {refusal.why}"
    return told


def parsed(version: str) -> tuple[int, ...]:
    """`1.35.4` as numbers; what follows a plus or a dash does not count."""
    return tuple(int(part) for part in version.partition("+")[0].partition("-")[0].split("."))
