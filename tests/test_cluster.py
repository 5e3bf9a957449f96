from __future__ import annotations

import json
from collections.abc import Mapping
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest
import yaml

from provision import cluster
from provision.cluster import Node
from provision.errors import PreconditionMissing, SettingsError
from provision.settings import ENVIRONMENTS, ROOT, Settings, parse

REHEARSAL = ENVIRONMENTS / "rehearsal.toml"
# What may differ only because the hosts are containers: nothing here can hide another difference in behaviour.
OF_CONTAINER_HOSTS = {
    "kubelet_fail_cgroup_v1",
    "kubeadm_ignore_preflight_errors",
    "containerd_use_systemd_cgroup",
    "containerd_extra_runtime_args",
    "containerd_base_runtime_spec_rlimit_nofile",
    "kube_proxy_conntrack_max_per_core",
    "kube_proxy_conntrack_min",
    "eviction_hard",
    "kubelet_image_gc_high_threshold",
    "kubelet_image_gc_low_threshold",
}


def settings(env: str = "rehearsal") -> Settings:
    """An environment's settings."""
    path = ENVIRONMENTS / f"{env}.toml"
    return parse(path, path.read_text(), env=env, platform="case")


def replaced(old: str, new: str) -> Settings:
    """The rehearsal's settings, with one text of its file replaced."""
    text = REHEARSAL.read_text()
    assert old in text
    return parse(REHEARSAL, text.replace(old, new), env="rehearsal", platform="case")


def inventory(site: str, env: str = "rehearsal") -> ConfigParser:
    """A rendered hosts file. Only Ansible reads host lines; here their first word is the key."""
    parser = ConfigParser(allow_no_value=True, delimiters=(" ", "="))
    parser.read_string(cluster.render(settings(env), site, Path("/state/ssh config"))[cluster.HOSTS])
    return parser


def variables(found: Settings, site: str) -> Mapping[str, Any]:
    """All variables of a rendered inventory, later files over earlier ones, as Ansible reads them."""
    files = cluster.render(found, site, cluster.NO_CONFIG)
    merged: dict[str, Any] = {}
    for name in sorted(name for name in files if name.startswith("group_vars/all/")):
        merged |= yaml.safe_load(files[name])
    return merged


def test_the_inventory_has_kubesprays_groups() -> None:
    found = inventory("kvm-tacc")
    assert list(found["kube_control_plane"]) == ["node1"]
    assert list(found["etcd"]) == ["node1"]
    assert list(found["kube_node"]) == ["node1", "node2", "node3"]
    assert list(found["k8s_cluster:children"]) == ["kube_control_plane", "kube_node"]


def test_a_host_s_line_says_where_it_is_and_which_pods_are_its() -> None:
    found = inventory("kvm-tacc")["all"]
    assert found["node1"] == "ansible_host=node1 ip=10.31.1.11 etcd_member_name=etcd1 pod_cidr=10.233.64.0/24"
    assert found["node2"] == "ansible_host=node2 ip=10.31.1.12 pod_cidr=10.233.65.0/24"


def test_the_gpu_site_is_one_node_in_all_groups() -> None:
    found = inventory("chi-uc")
    assert [list(found[group]) for group in cluster.GROUPS] == [["gpu1"]] * 3


def test_ssh_goes_through_our_config_as_the_site_s_user() -> None:
    found = inventory("kvm-tacc")["all:vars"]
    assert found["ansible_user"] == "cc"
    assert found["ansible_ssh_common_args"] == "'-F \"/state/ssh config\"'"


def test_the_rehearsal_s_variables_name_its_mirror_for_every_upstream() -> None:
    found = variables(settings(), "chi-uc")
    assert found["kube_version"] == "1.35.4"
    assert (found["kube_pods_subnet"], found["kube_service_addresses"]) == ("10.234.64.0/18", "10.234.0.0/18")
    assert found["dl_k8s_io_url"] == "http://10.30.0.5:8080/dl.k8s.io"
    mirrors = {entry["prefix"]: entry["mirrors"][0]["host"] for entry in found["containerd_registries_mirrors"]}
    assert mirrors == dict.fromkeys(settings().registry.upstreams, "http://10.30.0.5:5000")
    assert found["kubelet_fail_cgroup_v1"] is False


def test_the_testbed_s_variables_name_the_vendors_and_nothing_of_containers() -> None:
    found = variables(settings("chameleon"), "kvm-tacc")
    assert found["dl_k8s_io_url"] == "https://dl.k8s.io"
    assert "containerd_registries_mirrors" not in found
    assert "files_repo" not in found
    assert found["kubelet_fail_cgroup_v1"] is True
    assert found["kubeadm_ignore_preflight_errors"] == []


def test_the_file_for_container_hosts_holds_nothing_else() -> None:
    found = yaml.safe_load((cluster.FOLDER / "group_vars" / "container_hosts.yml").read_text())
    assert set(found) == OF_CONTAINER_HOSTS


def test_the_inputs_hash_is_one_per_site_and_does_not_know_this_machine() -> None:
    one, other = cluster.inputs_hash(settings(), "kvm-tacc"), cluster.inputs_hash(settings(), "chi-uc")
    assert one != other
    assert one == cluster.inputs_hash(settings(), "kvm-tacc")
    texts = cluster.render(settings(), "kvm-tacc", cluster.NO_CONFIG).values()
    assert [text for text in texts if str(ROOT) in text] == []


@pytest.mark.parametrize(
    "old, new",
    [
        ('version = "1.35.4"', 'version = "1.35.5"'),
        ('engine = "kubeadm"', 'engine = "kubespray"'),
        ('address = "10.31.1.13"', 'address = "10.31.1.14"'),
        ('mirror = "10.30.0.5:5000"', 'mirror = "10.30.0.6:5000"'),
    ],
)
def test_a_changed_input_changes_the_hash(old: str, new: str) -> None:
    assert cluster.inputs_hash(replaced(old, new), "kvm-tacc") != cluster.inputs_hash(settings(), "kvm-tacc")


def test_another_site_s_change_leaves_the_hash() -> None:
    changed = replaced('address = "10.32.1.11"', 'address = "10.32.1.12"')
    assert cluster.inputs_hash(changed, "kvm-tacc") == cluster.inputs_hash(settings(), "kvm-tacc")


def test_the_record_says_what_the_cluster_was_made_from() -> None:
    found = cluster.record(settings(), "kvm-tacc")
    assert found["metadata"] == {"name": "tandem-cluster", "namespace": "kube-system"}
    assert found["data"]["inputs"] == cluster.inputs_hash(settings(), "kvm-tacc")


def test_labels_lead_pods_to_the_volume_and_the_gpu() -> None:
    sites = settings().sites
    assert cluster.labels(sites["kvm-tacc"])["node1"] == {"tandem.io/volume": "block"}
    assert cluster.labels(sites["kvm-tacc"])["node2"] == {}
    assert cluster.labels(sites["chi-uc"]) == {"gpu1": {"nvidia.com/gpu.present": "true"}}


def test_the_kubeadm_engine_refuses_a_second_control_plane() -> None:
    found = replaced('groups = ["kube_node"]', 'groups = ["kube_control_plane"]')
    with pytest.raises(SettingsError, match="kvm-tacc has 3 control planes"):
        cluster.check_settings(found, "kvm-tacc")
    cluster.check_settings(found, "chi-uc")


def test_the_kubespray_engine_is_refused_without_its_checkout() -> None:
    cluster.check_engine(settings())
    with pytest.raises(PreconditionMissing) as caught:
        cluster.check_engine(settings("chameleon"))
    assert "kubespray.lock" in caught.value.why
    assert "chameleon.toml" in caught.value.next


def test_a_cluster_is_read_from_one_answer() -> None:
    seen = cluster.read(
        json.dumps(
            {
                "items": [
                    node("node1", Ready="True", DiskPressure="True", MemoryPressure="False"),
                    node("node2", Ready="Unknown"),
                    {"kind": "Deployment", "metadata": {"name": "coredns"}, "status": {"availableReplicas": 1}},
                    {"kind": "ConfigMap", "metadata": {"name": "tandem-cluster"}, "data": {"inputs": "abc"}},
                ]
            }
        )
    )
    assert seen.nodes == (
        Node("node1", "1.35.4", is_ready=True, pressure=("DiskPressure",), labels={"a": "b"}),
        Node("node2", "1.35.4", is_ready=False, labels={"a": "b"}),
    )
    assert (seen.has_dns, seen.inputs) == (True, "abc")


def test_an_empty_cluster_has_no_dns_and_no_record() -> None:
    assert cluster.read('{"items": []}') == cluster.Seen((), False, "")
    bare = {"kind": "Deployment", "metadata": {"name": "coredns"}, "status": {}}
    assert not cluster.read(json.dumps({"items": [bare]})).has_dns


def node(name: str, **conditions: str) -> dict[str, Any]:
    """A Node as the API gives it."""
    return {
        "kind": "Node",
        "metadata": {"name": name, "labels": {"a": "b"}},
        "status": {
            "nodeInfo": {"kubeletVersion": "v1.35.4"},
            "conditions": [{"type": kind, "status": status} for kind, status in conditions.items()],
        },
    }
