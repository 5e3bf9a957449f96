"""A Kubernetes cluster on the site's nodes, from an inventory in Kubespray's format.

Meaning: every node Ready without pressure at the pinned version, CoreDNS available, labels set, and the cluster made
    from the present inputs (their hash is recorded in it). The engine is the settings' `kubernetes.engine`: `kubespray`
    (its unmodified checkout at cluster/kubespray, between our before and after) or, where it may fall back to it and
    must, `kubeadm` (our playbooks: init and join). A cluster that stands keeps the engine that made it.
Look: kubectl through an ssh forward; on each node, whether it has joined (a server made anew has not).
Recover: `invoke provision.kubespray --site S` finishes what was cut off, joins a server made anew, starts a stopped
    kubelet. A worker taken out on purpose: `invoke cluster.remove NODE --site S`, then out of the environment's
    file. From the start: `invoke cluster.reset --site S`, then this. By hand: ansible-playbook with cluster/*.cfg and
    .state/<env>/inventory/<site>/hosts.ini; on a host: journalctl -u kubelet. What only an init can set (subnets,
    kubelet) is refused by kubeadm on a running cluster: make the servers anew. node1 lost is a restore.
Undo: nothing. Deleting the servers (`nodes`) takes the cluster with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from provision import ansible, cluster, cluster_plan, engines, kubespray, preflight
from provision.cluster_plan import Have as Have
from provision.cluster_plan import Want as Want
from provision.engines import KUBESPRAY
from provision.errors import CommandFailed, DeadlineExceeded, PreconditionMissing
from provision.settings import Settings
from provision.site import Site
from provision.step import Change
from provision.wait import never, wait_until

NAME = "kubespray"
NEEDS = ("nodes",)
JOINS = False
KUBEADM_S, READY_S = 720, 180
DEADLINE_S = 3600
SETTLE_S = 60
CHECKS = ("check_kubespray",)

JOINED = "/etc/kubernetes/kubelet.conf"


NOTHING = Have()


def want(settings: Settings, site_name: str) -> Want:
    """The cluster of a site. Raises SettingsError for an inventory that cannot become one."""
    engine, site = engines.choose(settings).engine, settings.sites[site_name]
    preflight.check(settings, site_name, engine)
    known = engines.known(settings)
    return Want(
        site_name,
        engine,
        settings.kubernetes.version,
        {name: cluster.inputs_hash(settings, site_name, name) for name in known},
        {name: cluster.base_hash(settings, site_name, name) for name in known},
        cluster.labels(site),
        tuple(node.name for node in cluster.workers(site)),
    )


def look(site: Site, want: Want) -> Have:
    """Ask the cluster, and its nodes' hosts whether they have joined. A cluster that does not answer is not there."""
    if not site.kube.exists():
        return NOTHING
    try:
        seen = cluster.read(site.kube.run(*cluster.QUERY, deadline_s=30.0).stdout)
    except (CommandFailed, DeadlineExceeded, PreconditionMissing):
        return NOTHING
    nodes = (replace(node, is_joined=node.name in want.labels and _has_joined(site, node.name)) for node in seen.nodes)
    made = seen.engine or want.engine
    is_current, same_base = seen.inputs == want.inputs.get(made), seen.base == want.base.get(made)
    return Have(True, tuple(nodes), seen.has_dns, is_current, same_base, made)


def plan(want: Want, have: Have) -> Sequence[Change]:
    """Run the engine if anything is missing; then node objects that nobody wants, and labels."""
    return cluster_plan.changes(want, have)


def apply(site: Site, change: Change) -> None:
    """Run the engine, drop a node object, or set a label."""
    kind = change.what.split()[0]
    if kind == "cluster":
        _run(site, change)
    elif kind == "node":
        site.kube.run("delete", "node", str(change.args["node"]), "--ignore-not-found")
    else:
        site.kube.run("label", "--overwrite", "node", str(change.args["node"]), str(change.args["label"]))


def undo(_have: Have, /) -> Sequence[Change]:
    """Nothing: the cluster goes with its servers."""
    return ()


def _has_joined(site: Site, node: str) -> bool:
    return site.hosts.run(node, ["test", "-s", JOINED], ok=(0, 1)).code == 0


def _run(site: Site, change: Change) -> None:
    """Run the engine, record in the cluster what it was made from, and wait until it is as wanted."""
    engine, again = str(change.args["engine"]), f"invoke provision.{NAME} --site {site.name}"
    if engine == KUBESPRAY:
        nodes = str(change.args["nodes"])
        kubespray.run(site, str(change.args["operation"]), tuple(nodes.split(",")) if nodes else ())
    else:
        hosts = cluster.write_inventory(site.settings, site.name, site.hosts.config, engine)
        home, log = site.settings.state_dir / "ansible", site.log(NAME)
        ansible.play(cluster.PLAYBOOK, hosts, home=home, log=log, deadline_s=KUBEADM_S, next=again)
    site.kube.apply([cluster.record(site.settings, site.name, engine)])
    wanted, what = want(site.settings, site.name), f"{site.name}: nodes Ready and CoreDNS available"

    def missing() -> list[str]:
        return cluster_plan.reasons(wanted, look(site, wanted))

    # No state is final: a kubelet that fails and a pull that is refused are tried again by the cluster itself.
    wait_until(what, missing, lambda found: not found, never, deadline_s=READY_S, every_s=1.0, next=again)
