from __future__ import annotations

import os
from pathlib import Path

import pytest

from provision.errors import PreconditionMissing, UsageError
from rehearsal.hosts import cgroups, disks, places, processes, recipe, roots
from rehearsal.hosts.spec import HostSpec, Nic

NIC = Nic("10.31.1.11", 24, "10.31.1.1", "fa:16:3e:00:00:0b", "br-kvm-tacc")
LISTENING = "  0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1\n"
CONNECTED = "  0: 0B011F0A:0016 01001E0A:9C40 01 00000000:00000000 00:00000000 00000000     0        0 1 1\n"


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(places, "STATE", tmp_path)
    return tmp_path


def spec(machine: str) -> HostSpec:
    return HostSpec("rehearsal", machine, "host", (Path("/base"),), (NIC,), "key", "secret", "i-1")


def test_a_host_is_found_by_its_folder_and_complete_by_its_spec(state: Path) -> None:
    for machine in ("srv-b", "srv-a"):
        places.host_dir("rehearsal", machine).mkdir(parents=True)
    places.write_spec(spec("srv-a"))
    assert places.list_hosts("rehearsal") == ("srv-a", "srv-b")
    assert places.list_hosts("other") == ()
    assert places.read_spec("rehearsal", "srv-a") == spec("srv-a")
    assert places.read_spec("rehearsal", "srv-b") is None


def test_a_kept_spec_is_read_by_root_alone(state: Path) -> None:
    places.host_dir("rehearsal", "srv-a").mkdir(parents=True)
    places.write_spec(spec("srv-a"))
    assert (places.host_dir("rehearsal", "srv-a") / "host.json").stat().st_mode & 0o777 == 0o600


def fake_process(proc: Path, pid: int, **files: str) -> None:
    for name, text in files.items():
        path = proc / str(pid) / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_the_leader_is_nspawns_child_that_is_number_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(processes, "_PROC", tmp_path)
    mark = processes.directory_option("rehearsal", "srv-a")
    fake_process(tmp_path, 10, cmdline=f"systemd-nspawn\0{mark}\0", task__10__children="11 12 ")
    fake_process(tmp_path, 11, cmdline="helper\0", comm="helper\n", status="NSpid:\t11\n")
    fake_process(tmp_path, 12, cmdline="/lib/systemd/systemd\0", comm="systemd\n", status="NSpid:\t12\t1\n")
    fake_process(tmp_path, 20, cmdline=f"systemd-nspawn\0{mark}-other\0", task__20__children="")
    assert processes.nspawn_pids("rehearsal", "srv-a") == [10]
    assert processes.leader_pid("rehearsal", "srv-a") == 12
    assert processes.leader_pid("rehearsal", "srv-b") is None


@pytest.mark.parametrize(("table", "expected"), [(LISTENING, True), (CONNECTED, False), ("", False)])
def test_a_connection_to_a_port_is_not_a_listener(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, table: str, expected: bool
) -> None:
    monkeypatch.setattr(processes, "_PROC", tmp_path)
    fake_process(tmp_path, 12, net__tcp="header\n" + table, net__tcp6="header\n")
    assert processes.listens(12, 22) is expected


def test_version_two_has_one_hierarchy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpu memory\n")
    monkeypatch.setattr(cgroups, "CGROUPS", tmp_path)
    assert cgroups.subtrees("rehearsal", "srv-a") == [tmp_path / "tandem-rehearsal" / "srv-a"]
    assert cgroups.subtrees("rehearsal") == [tmp_path / "tandem-rehearsal"]


def test_version_one_has_a_hierarchy_a_controller(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for controller in ("cpu", "memory"):
        (tmp_path / controller).mkdir()
    monkeypatch.setattr(cgroups, "CGROUPS", tmp_path)
    monkeypatch.setattr(os.path, "ismount", lambda path: True)
    assert cgroups.subtrees("rehearsal") == [
        tmp_path / "cpu" / "tandem-rehearsal",
        tmp_path / "memory" / "tandem-rehearsal",
    ]


def test_without_cgroups_the_reason_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(cgroups, "CGROUPS", tmp_path)
    with pytest.raises(PreconditionMissing, match="no cgroups"):
        cgroups.subtrees("rehearsal")


@pytest.mark.parametrize("name", ["vda", "sdb", "vdb1", "../x"])
def test_only_further_disks_can_be_attached(name: str) -> None:
    with pytest.raises(UsageError):
        disks.attach_disk("rehearsal", "srv-a", Path("/dev/null"), name)


def test_a_disk_of_a_host_that_does_not_exist_is_detached_silently(state: Path) -> None:
    disks.detach_disk("rehearsal", "srv-a")
    assert disks.disk_names("rehearsal", "srv-a") == ()


def test_roots_are_ready_only_when_both_are(tmp_path: Path) -> None:
    assert roots.ready(tmp_path) is None
    places_of_today = roots._places(tmp_path)
    places_of_today.base.mkdir(parents=True)
    assert roots.ready(tmp_path) is None
    places_of_today.gpu.mkdir(parents=True)
    ready = roots.ready(tmp_path)
    assert ready is not None
    assert ready.gpu_host == (ready.gpu, ready.base)
    assert ready.plain_host == (ready.base,)


def test_a_changed_recipe_is_another_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = roots._places(tmp_path)
    monkeypatch.setattr(roots, "PACKAGES", (*recipe.PACKAGES, "tree"))
    after = roots._places(tmp_path)
    assert before.base != after.base
    assert before.gpu != after.gpu
