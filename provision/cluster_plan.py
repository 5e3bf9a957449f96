"""What a site's cluster should be, what it is, and what to do about the difference. Pure; `steps/kubespray.py` acts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from provision import cluster, operations
from provision.cluster import Node
from provision.engines import KUBESPRAY
from provision.errors import PreconditionMissing
from provision.operations import Operation
from provision.step import Change


@dataclass(frozen=True)
class Want:
    """One cluster. engine: for a new one. inputs, base: by engine, the hashes of what it is made from.

    labels: node -> labels it must have. workers: the nodes that carry no control plane.
    """

    site: str
    engine: str
    version: str
    inputs: Mapping[str, str]
    base: Mapping[str, str]
    labels: Mapping[str, Mapping[str, str]]
    workers: tuple[str, ...]


@dataclass(frozen=True)
class Have:
    """The cluster as it is. engine: what made it. is_current: from the wanted inputs; same_base: but for workers."""

    answers: bool = False
    nodes: tuple[Node, ...] = ()
    has_dns: bool = False
    is_current: bool = False
    same_base: bool = False
    engine: str = ""


def changes(want: Want, have: Have) -> Sequence[Change]:
    """Run the engine if anything is missing; then node objects that nobody wants, and labels."""
    planned = [_engine(want, have, found)] if (found := "; ".join(reasons(want, have))) else []
    strays = [node.name for node in have.nodes if node.name not in want.labels]
    planned += [Change("delete", f"node {name}", "not in the inventory", {"node": name}) for name in strays]
    # A node that joins again has lost its labels with its old object.
    present = {(node.name, key): value for node in have.nodes if node.is_joined for key, value in node.labels.items()}
    wanted = {(name, key): value for name, labels in want.labels.items() for key, value in labels.items()}
    lost = [place for place in wanted if present.get(place) != wanted[place]]
    return [*planned, *(_label(*place, present.get(place, "none"), wanted[place]) for place in lost)]


def reasons(want: Want, have: Have) -> list[str]:
    """Why the engine must run; empty where the cluster is as wanted."""
    if not have.answers:
        return ["no cluster answers"]
    seen = {node.name: node for node in have.nodes}
    found = [f"{name} {fault}" for name in want.labels for fault in cluster.faults(seen.get(name), want.version)]
    found += [] if have.has_dns else ["CoreDNS not available"]
    return [*found, *([] if have.is_current else ["made from other inputs"])]


def _engine(want: Want, have: Have, found: str) -> Change:
    """Which engine runs, and of Kubespray which of its playbooks, over which nodes."""
    engine, what = have.engine or want.engine, f"cluster {want.site}"
    if engine not in want.inputs:
        raise PreconditionMissing(
            f"{want.site}: its cluster was made by {engine}",
            why=f"this environment's engines: {', '.join(want.inputs)}; none takes over another's cluster",
            next=f"invoke provision.destroy --site {want.site}, then invoke provision.all",
        )
    if engine != KUBESPRAY:
        return Change("run", what, f"engine {engine}: {found}", {"engine": engine})
    chosen = Operation("cluster")
    if have.answers:
        nodes = tuple(want.labels)
        chosen = operations.choose(nodes, want.workers, have.nodes, want.version, same_base=have.same_base)
    args = {"engine": engine, "operation": chosen.name, "nodes": ",".join(chosen.nodes)}
    return Change("run", what, f"engine {engine}, {chosen.name}: {found}", args)


def _label(node: str, key: str, has: str, value: str) -> Change:
    args = {"node": node, "label": f"{key}={value}"}
    return Change("update", f"label {node} {key}", f"have {has}, want {value}", args)
