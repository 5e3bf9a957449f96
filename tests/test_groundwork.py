"""What is judged of hosts, files, images and resolvers, before Kubespray starts and after it ends."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Network
from typing import Any

import pytest

from provision import aftercare, checkout, groundwork
from provision.aftercare import Resolving
from provision.groundwork import Host
from provision.settings import ENVIRONMENTS, Registry, parse

GOOD = Host(python=(3, 12), free_gib=30.0, free_percent=75.0, nofile=1048576, skew_s=0.1)
FILES = checkout.lock().files
VENDORS = {file.path: file.sha256 for file in FILES}
DNS = (aftercare.dns_address(IPv4Network("10.233.0.0/18")), "10.233.0.1")
WELL = Resolving("/etc/resolv.conf", ("8.8.8.8",), ("10.233.0.1",))


def test_a_good_host_has_no_fault() -> None:
    assert list(groundwork.host_faults(GOOD, {}, tools=True)) == []


@pytest.mark.parametrize(
    "changed, told",
    [
        ({"free_percent": 14.0}, "14 % of its disk free: under 15 % a kubelet deletes images"),
        ({"free_gib": 3.0}, "3.0 GiB of its disk free, 8 needed"),
        ({"nofile": 20000}, "at most 20000 open files, containers get 65535"),
        ({"skew_s": -61.0}, "its clock is -61 s from this machine's"),
        ({"python": (3, 6)}, "Python 3.6, Ansible needs 3.8"),
        ({"lacks": ("nft", "conntrack")}, "no nft, conntrack, and no package source"),
    ],
)
def test_a_host_that_would_fail_late_is_told_early(changed: dict[str, Any], told: str) -> None:
    assert list(groundwork.host_faults(replace(GOOD, **changed), {}, tools=True)) == [told]


def test_what_is_full_is_what_the_kubelet_will_call_full() -> None:
    """Container hosts see the machine's disk and limits, and say so in their variables."""
    said = {"kubelet_image_gc_high_threshold": 99, "containerd_base_runtime_spec_rlimit_nofile": 20000}
    assert list(groundwork.host_faults(replace(GOOD, free_percent=3.0, nofile=20000), said, tools=True)) == []
    assert len(list(groundwork.host_faults(replace(GOOD, free_percent=1.0, nofile=1024), said, tools=True))) == 2


def test_tools_are_kubespray_s_to_install_where_there_are_packages() -> None:
    assert list(groundwork.host_faults(replace(GOOD, lacks=("conntrack",)), {}, tools=False)) == []


def test_the_vendors_files_must_have_kubespray_s_sums() -> None:
    assert list(groundwork.file_faults(VENDORS, None)) == []
    told = {
        **VENDORS,
        FILES[0].path: "00",
        FILES[1].path: "error: https://x: 404",
        FILES[2].path: VENDORS[FILES[2].path],
    }
    assert list(groundwork.file_faults(told, None)) == [
        f"{FILES[0].path}: sha256 00, want {FILES[0].sha256}",
        f"{FILES[1].path}: https://x: 404",
    ]
    assert len(list(groundwork.file_faults({}, None))) == len(FILES)


def test_a_mirror_s_files_must_have_the_sums_that_it_lists_itself() -> None:
    sums = {**VENDORS, FILES[0].path: "own"}
    assert list(groundwork.file_faults({**VENDORS, FILES[0].path: "own"}, sums)) == []
    assert list(groundwork.file_faults({**VENDORS, FILES[0].path: "cut"}, sums)) == [
        f"{FILES[0].path}: sha256 cut, want own"
    ]
    del sums[FILES[0].path]
    assert list(groundwork.file_faults(VENDORS, sums)) == [f"{FILES[0].path}: not in the mirror's SHA256SUMS"]


def test_only_files_that_the_mirror_built_override_kubespray_s_sums() -> None:
    assert groundwork.overrides(VENDORS) == {}
    assert groundwork.overrides({**VENDORS, FILES[0].path: "own"}) == {"kubelet_binary_checksum": "sha256:own"}


def test_sums_are_read_as_sha256sum_writes_them() -> None:
    assert groundwork.parse_sums("aa  one/file\nbb  other\n") == {"one/file": "aa", "other": "bb"}


def test_every_image_is_asked_for_under_its_own_name() -> None:
    images = checkout.lock().images
    assert list(groundwork.image_faults(dict.fromkeys(images, ""))) == []
    told = {**dict.fromkeys(images, ""), images[-1]: "HTTP Error 404"}
    assert list(groundwork.image_faults(told)) == [f"{images[-1]}: HTTP Error 404"]
    assert len(list(groundwork.image_faults({}))) == len(images)


def test_the_questions_go_to_the_mirror_with_its_credentials_or_to_the_vendors_without() -> None:
    path = ENVIRONMENTS / "rehearsal.toml"
    mirrored = groundwork.questions(parse(path, path.read_text(), env="rehearsal").registry, "dTpw")
    assert mirrored["files"][FILES[0].path] == f"http://10.30.0.5:8080/{FILES[0].path}"
    assert mirrored["sums"] == "http://10.30.0.5:8080/SHA256SUMS"
    assert "http://10.30.0.5:5000/v2/coredns/coredns/manifests/v1.12.4" in mirrored["images"].values()
    assert mirrored["auth"] == "dTpw"
    direct = groundwork.questions(Registry(), "dTpw")
    assert direct["files"][FILES[0].path] == f"https://{FILES[0].path}"
    assert "https://registry.k8s.io/v2/pause/manifests/3.10.1" in direct["images"].values()
    assert (direct["sums"], direct["auth"]) == ("", "")


def test_a_host_that_resolves_well_has_no_fault() -> None:
    assert list(aftercare.faults(WELL, *DNS)) == []


@pytest.mark.parametrize(
    "changed, told",
    [
        ({"resolvers": ("10.233.0.3",)}, "names cluster DNS (10.233.0.3): CoreDNS would forward to itself"),
        ({"resolvers": ("127.0.0.53", "8.8.8.8")}, "names 127.0.0.53: in CoreDNS's pod that is CoreDNS"),
        ({"answers": ()}, "cluster DNS at 10.233.0.3 answers kubernetes.default.svc.cluster.local with nothing"),
        ({"answers": ("10.9.9.9",)}, "with 10.9.9.9"),
    ],
)
def test_a_resolver_loop_and_a_silent_cluster_dns_are_told(changed: dict[str, Any], told: str) -> None:
    (found,) = aftercare.faults(replace(WELL, **changed), *DNS)
    assert told in found
