"""The kubeconfig we keep: our loopback port, names that tell the sites apart, the cluster's own credentials."""

from __future__ import annotations

from ipaddress import IPv4Address
from pathlib import Path

import pytest
import yaml

from provision import shell
from provision.hosts import Hosts
from provision.kube import Kube, rewrite
from provision.settings import load

ADMIN = yaml.safe_dump(
    {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "kubernetes-admin@kubernetes",
        "clusters": [
            {"name": "kubernetes", "cluster": {"server": "https://10.31.1.11:6443", "certificate-authority-data": "CA"}}
        ],
        "users": [{"name": "kubernetes-admin", "user": {"client-certificate-data": "CERT", "client-key-data": "KEY"}}],
        "contexts": [
            {"name": "kubernetes-admin@kubernetes", "context": {"cluster": "kubernetes", "user": "kubernetes-admin"}}
        ],
    }
)


def kube(site: str) -> Kube:
    return Kube(Hosts(load("rehearsal"), site, lambda: IPv4Address("10.30.1.10")))


def test_the_server_is_our_end_of_the_forward() -> None:
    config = yaml.safe_load(rewrite(ADMIN, 16441, "kvm-tacc"))
    assert config["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:16441"


def test_trust_and_credentials_stay_the_cluster_s_own() -> None:
    config = yaml.safe_load(rewrite(ADMIN, 16441, "kvm-tacc"))
    assert config["clusters"][0]["cluster"]["certificate-authority-data"] == "CA"
    assert config["users"][0]["user"] == {"client-certificate-data": "CERT", "client-key-data": "KEY"}


def test_names_tell_the_sites_apart_and_fit_together() -> None:
    config = yaml.safe_load(rewrite(ADMIN, 16440, "chi-uc"))
    assert config["current-context"] == "tandem-chi-uc"
    assert config["contexts"] == [
        {"name": "tandem-chi-uc", "context": {"cluster": "tandem-chi-uc", "user": "tandem-chi-uc"}}
    ]
    assert (config["clusters"][0]["name"], config["users"][0]["name"]) == ("tandem-chi-uc", "tandem-chi-uc")


def test_each_site_has_a_port_and_a_file_of_its_own() -> None:
    doors = [kube(site) for site in load("rehearsal").sites]
    assert len({door.local_port for door in doors}) == len(doors)
    assert len({door.kubeconfig for door in doors}) == len(doors)


def test_a_command_has_as_long_as_the_environment_is_patient(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given: list[float] = []

    def run(_argv: object, *, deadline_s: float, **_options: object) -> shell.Result:
        given.append(deadline_s)
        return shell.Result((), 0, "", "", 0.0)

    monkeypatch.setattr(shell, "run", run)
    monkeypatch.setattr(Kube, "connect", lambda _self: tmp_path)
    for env in ("rehearsal", "chameleon"):
        settings = load(env, platform="case")
        Kube(Hosts(settings, "chi-uc", lambda: None)).run("get", "pods", deadline_s=10.0)
    assert given == [30.0, 10.0]
