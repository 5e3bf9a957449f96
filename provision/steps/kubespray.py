"""A Kubernetes cluster on the site's nodes, from an inventory in Kubespray's format.

Meaning: every node Ready without pressure at the pinned version, CoreDNS available, labels set, and the cluster made
    from the present inputs (their hash is recorded in it). The engine is the settings' `kubernetes.engine`: `kubeadm`
    (our playbooks: init and join) or `kubespray` (its checkout at cluster/kubespray).
Look: kubectl through an ssh forward; on each node, whether it has joined (a server made anew has not).
Recover: `invoke provision.kubespray --site S` finishes an init or a join that was cut off, joins a server made anew,
    starts a stopped kubelet. By hand: ANSIBLE_CONFIG=cluster/ansible.cfg ansible-playbook cluster/playbooks/kubeadm.yml
    -i .state/<env>/inventory/<site>/hosts.ini; on a host: journalctl -u kubelet. What only an init can set (version,
    subnets, kubelet) is refused on a running cluster: make the servers anew. node1 lost is a restore.
Undo: nothing. Deleting the servers (`nodes`) takes the cluster with them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from provision import ansible, cluster
from provision.cluster import Node
from provision.errors import CommandFailed, DeadlineExceeded, PreconditionMissing
from provision.settings import Settings
from provision.site import Site
from provision.step import Change
from provision.wait import never, wait_until

NAME = "kubespray"
NEEDS = ("nodes",)
JOINS = False
ENGINE_DEADLINE_S, READY_DEADLINE_S = 720, 180
DEADLINE_S = ENGINE_DEADLINE_S + READY_DEADLINE_S
SETTLE_S = 60
CHECKS = ("check_kubespray",)

JOINED = "/etc/kubernetes/kubelet.conf"


@dataclass(frozen=True)
class Want:
    """One cluster. inputs: the hash of all it is made from. labels: node -> labels it must have."""

    site: str
    engine: str
    version: str
    inputs: str
    labels: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class Have:
    """The cluster as it is. is_current: made from the wanted inputs."""

    answers: bool = False
    nodes: tuple[Node, ...] = ()
    has_dns: bool = False
    is_current: bool = False


NOTHING = Have()


def want(settings: Settings, site_name: str) -> Want:
    """The cluster of a site. Raises SettingsError where the engine cannot make it."""
    cluster.check_settings(settings, site_name)
    inputs, labels = cluster.inputs_hash(settings, site_name), cluster.labels(settings.sites[site_name])
    return Want(site_name, settings.kubernetes.engine, settings.kubernetes.version, inputs, labels)


def look(site: Site, want: Want) -> Have:
    """Ask the cluster, and its nodes' hosts whether they have joined. A cluster that does not answer is not there."""
    if not site.kube.exists():
        return NOTHING
    try:
        seen = cluster.read(site.kube.run(*cluster.QUERY, deadline_s=30.0).stdout)
    except (CommandFailed, DeadlineExceeded, PreconditionMissing):
        return NOTHING
    nodes = (replace(node, is_joined=node.name in want.labels and _has_joined(site, node.name)) for node in seen.nodes)
    return Have(True, tuple(nodes), seen.has_dns, seen.inputs == want.inputs)


def plan(want: Want, have: Have) -> Sequence[Change]:
    """Run the engine if anything is missing; then node objects that nobody wants, and labels."""
    reasons = "; ".join(_reasons(want, have))
    changes = [Change("run", f"cluster {want.site}", f"engine {want.engine}: {reasons}")] if reasons else []
    strays = [node.name for node in have.nodes if node.name not in want.labels]
    changes += [Change("delete", f"node {name}", "not in the inventory", {"node": name}) for name in strays]
    # A node that joins again has lost its labels with its old object.
    present = {(node.name, key): value for node in have.nodes if node.is_joined for key, value in node.labels.items()}
    wanted = {(name, key): value for name, labels in want.labels.items() for key, value in labels.items()}
    lost = [place for place in wanted if present.get(place) != wanted[place]]
    return [*changes, *(_label(*place, present.get(place, "none"), wanted[place]) for place in lost)]


def apply(site: Site, change: Change) -> None:
    """Run the engine, drop a node object, or set a label."""
    kind = change.what.split()[0]
    if kind == "cluster":
        _run(site)
    elif kind == "node":
        site.kube.run("delete", "node", str(change.args["node"]), "--ignore-not-found")
    else:
        site.kube.run("label", "--overwrite", "node", str(change.args["node"]), str(change.args["label"]))


def undo(_have: Have, /) -> Sequence[Change]:
    """Nothing: the cluster goes with its servers."""
    return ()


def _reasons(want: Want, have: Have) -> list[str]:
    """Why the engine must run; empty where the cluster is as wanted."""
    if not have.answers:
        return ["no cluster answers"]
    seen = {node.name: node for node in have.nodes}
    found = [f"{name} {fault}" for name in want.labels for fault in cluster.faults(seen.get(name), want.version)]
    found += [] if have.has_dns else ["CoreDNS not available"]
    return [*found, *([] if have.is_current else ["made from other inputs"])]


def _label(node: str, key: str, has: str, value: str) -> Change:
    args = {"node": node, "label": f"{key}={value}"}
    return Change("update", f"label {node} {key}", f"have {has}, want {value}", args)


def _has_joined(site: Site, node: str) -> bool:
    return site.hosts.run(node, ["test", "-s", JOINED], ok=(0, 1)).code == 0


def _run(site: Site) -> None:
    """Run the engine, record in the cluster what it was made from, and wait until it is as wanted."""
    settings, again = site.settings, f"invoke provision.{NAME} --site {site.name}"
    cluster.check_engine(settings)
    hosts, home = cluster.write_inventory(settings, site.name, site.hosts.config), settings.state_dir / "ansible"
    ansible.play(cluster.PLAYBOOK, hosts, home=home, log=site.log(NAME), deadline_s=ENGINE_DEADLINE_S, next=again)
    site.kube.apply([cluster.record(settings, site.name)])
    wanted, what = want(settings, site.name), f"{site.name}: nodes Ready and CoreDNS available"

    def missing() -> list[str]:
        return _reasons(wanted, look(site, wanted))

    # No state is final: a kubelet that fails and a pull that is refused are tried again by the cluster itself.
    wait_until(what, missing, lambda found: not found, never, deadline_s=READY_DEADLINE_S, every_s=1.0, next=again)
