from __future__ import annotations

import json
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest
import yaml

from provision import cluster
from provision.cluster import Node
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
    parser.read_string(cluster.render(settings(env), site, Path("/state/ssh config"), "kubeadm")[cluster.HOSTS])
    return parser


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
    found = cluster.variables(settings(), "chi-uc", "kubeadm")
    assert found["kube_version"] == "1.35.4"
    assert (found["kube_pods_subnet"], found["kube_service_addresses"]) == ("10.234.64.0/18", "10.234.0.0/18")
    assert found["dl_k8s_io_url"] == "http://10.30.0.5:8080/dl.k8s.io"
    mirrors = {entry["prefix"]: entry["mirrors"][0]["host"] for entry in found["containerd_registries_mirrors"]}
    assert mirrors == dict.fromkeys(settings().registry.upstreams, "http://10.30.0.5:5000")
    assert found["kubelet_fail_cgroup_v1"] is False


def test_the_testbed_s_variables_name_the_vendors_and_nothing_of_containers() -> None:
    found = cluster.variables(settings("chameleon"), "kvm-tacc", "kubespray")
    assert found["dl_k8s_io_url"] == "https://dl.k8s.io"
    assert "containerd_registries_mirrors" not in found
    assert "files_repo" not in found
    assert found["kubelet_fail_cgroup_v1"] is True
    assert found["kubeadm_ignore_preflight_errors"] == []


def test_the_file_for_container_hosts_holds_nothing_else() -> None:
    found = yaml.safe_load((cluster.FOLDER / "group_vars" / "container_hosts.yml").read_text())
    assert set(found) == OF_CONTAINER_HOSTS


def test_no_file_of_variables_says_again_what_another_says() -> None:
    """But for the one of container hosts, whose keys are listed above."""
    own = {path.name: set(yaml.safe_load(path.read_text())) for path in (cluster.FOLDER / "group_vars").glob("*.yml")}
    assert own["cluster.yml"] & own["kubespray.yml"] == set()
    assert own["container_hosts.yml"] & own["kubespray.yml"] == set()
    rendered = set(cluster.site_variables(settings(), "kvm-tacc"))
    assert rendered & set.union(*own.values()) == set()


def test_the_kubespray_engine_has_variables_of_its_own() -> None:
    found = cluster.variables(settings("chameleon"), "chi-uc", "kubespray")
    assert (found["loadbalancer_apiserver_localhost"], found["host_firewall"]) == (False, True)
    assert "/etc/containerd/conf.d" in found["containerd_extra_args"]
    assert "loadbalancer_apiserver_localhost" not in cluster.variables(settings(), "chi-uc", "kubeadm")


@pytest.mark.parametrize("engine", ["kubeadm", "kubespray"])
def test_the_inputs_hash_is_one_per_site_and_does_not_know_this_machine(engine: str) -> None:
    one, other = (cluster.inputs_hash(settings(), site, engine) for site in ("kvm-tacc", "chi-uc"))
    assert one != other
    assert one == cluster.inputs_hash(settings(), "kvm-tacc", engine)
    texts = cluster.render(settings(), "kvm-tacc", cluster.NO_CONFIG, engine).values()
    assert [text for text in texts if str(ROOT) in text] == []


@pytest.mark.parametrize(
    "old, new",
    [
        ('version = "1.35.4"', 'version = "1.35.5"'),
        ('address = "10.31.1.13"', 'address = "10.31.1.14"'),
        ('mirror = "10.30.0.5:5000"', 'mirror = "10.30.0.6:5000"'),
    ],
)
def test_a_changed_input_changes_the_hash(old: str, new: str) -> None:
    assert hashed(replaced(old, new)) != hashed(settings())
    assert hashed(settings(), "kubespray") != hashed(settings())


def test_another_site_s_change_leaves_the_hash() -> None:
    assert hashed(replaced('address = "10.32.1.11"', 'address = "10.32.1.12"')) == hashed(settings())


def test_a_worker_more_or_elsewhere_leaves_the_base_and_nothing_else_does() -> None:
    def base(found: Settings) -> str:
        return cluster.base_hash(found, "kvm-tacc", "kubespray")

    assert base(replaced('address = "10.31.1.13"', 'address = "10.31.1.14"')) == base(settings())
    assert base(replaced('address = "10.31.1.11"', 'address = "10.31.1.14"')) != base(settings())
    assert base(replaced('mirror = "10.30.0.5:5000"', 'mirror = "10.30.0.6:5000"')) != base(settings())


def test_an_inventory_written_anew_leaves_no_file_of_another_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "inventory_dir", lambda _settings, site: tmp_path / site)
    hosts = cluster.write_inventory(
        settings(), "kvm-tacc", Path("/c"), "kubespray", {"runc_binary_checksum": "sha256:aa"}
    )
    folder = hosts.parent / "group_vars" / "all"
    assert "sha256:aa" in (folder / "zz_checksums.yml").read_text()
    cluster.write_inventory(settings(), "kvm-tacc", Path("/c"), "kubeadm")
    found = sorted(path.name for path in folder.iterdir())
    assert found == ["cluster.yml", "container_hosts.yml", "site.yml", "zz_checksums.yml"]
    assert (folder / "zz_checksums.yml").read_text() == "{}\n"


def test_the_record_says_what_the_cluster_was_made_from() -> None:
    found = cluster.record(settings(), "kvm-tacc", "kubeadm")
    assert found["metadata"] == {"name": "tandem-cluster", "namespace": "kube-system"}
    assert found["data"]["inputs"] == hashed(settings())
    assert found["data"]["engine"] == "kubeadm"


def test_labels_lead_pods_to_the_volume_and_the_gpu() -> None:
    sites = settings().sites
    assert cluster.labels(sites["kvm-tacc"])["node1"] == {"tandem.io/volume": "block"}
    assert cluster.labels(sites["kvm-tacc"])["node2"] == {}
    assert cluster.labels(sites["chi-uc"]) == {"gpu1": {"nvidia.com/gpu.present": "true"}}


def test_a_cluster_is_read_from_one_answer() -> None:
    seen = cluster.read(
        json.dumps(
            {
                "items": [
                    node("node1", Ready="True", DiskPressure="True", MemoryPressure="False"),
                    node("node2", Ready="Unknown"),
                    {"kind": "Deployment", "metadata": {"name": "coredns"}, "status": {"availableReplicas": 1}},
                    {
                        "kind": "ConfigMap",
                        "metadata": {"name": "tandem-cluster"},
                        "data": {"inputs": "abc", "base": "b"},
                    },
                ]
            }
        )
    )
    assert seen.nodes == (
        Node("node1", "1.35.4", is_ready=True, pressure=("DiskPressure",), labels={"a": "b"}),
        Node("node2", "1.35.4", is_ready=False, labels={"a": "b"}),
    )
    assert (seen.has_dns, seen.inputs, seen.base, seen.engine) == (True, "abc", "b", "")


def test_an_empty_cluster_has_no_dns_and_no_record() -> None:
    assert cluster.read('{"items": []}') == cluster.Seen((), False, "")
    bare = {"kind": "Deployment", "metadata": {"name": "coredns"}, "status": {}}
    assert not cluster.read(json.dumps({"items": [bare]})).has_dns


def hashed(found: Settings, engine: str = "kubeadm") -> str:
    """The hash of kvm-tacc's inputs."""
    return cluster.inputs_hash(found, "kvm-tacc", engine)


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
