"""The rehearsal's CSI shim: what a claim is in the store, how it is mounted, what is remembered. Without gRPC."""

from __future__ import annotations

import json
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from provision import manifests, releases, values
from provision.settings import ROOT, load
from rehearsal.csi import mounts, volumes
from rehearsal.csi.mounts import Mounts
from rehearsal.csi.volumes import Mount

SETTINGS = load("rehearsal")
CLAIM = {"csi.storage.k8s.io/pvc/name": "wheels", "csi.storage.k8s.io/pvc/namespace": "ray"}
CLASS = {"remote": "store", "remotePath": "p-caches/volumes/${pvc.metadata.namespace}/${pvc.metadata.name}"}
CONFIG = manifests.rclone_config({"access": "a", "secret": "s", "endpoint": "http://x", "region": "r"})


class Rclone:
    """Mounts at once, and goes when it is unmounted."""

    started: list[list[str]] = []
    mounted: set[str] = set()
    fails = False

    def __init__(self, argv: list[str], **_: Any) -> None:
        self.started.append(argv)
        if not self.fails:
            self.mounted.add(argv[3])

    def poll(self) -> int | None:
        return 1 if self.fails else None

    def wait(self, _deadline_s: float = 0) -> int:
        return 0

    def kill(self) -> None: ...


@pytest.fixture
def rclone(monkeypatch: pytest.MonkeyPatch) -> type[Rclone]:
    class Fresh(Rclone):
        started: list[list[str]] = []
        mounted: set[str] = set()

    monkeypatch.setattr(subprocess, "Popen", Fresh)
    monkeypatch.setattr(mounts, "is_mounted", lambda target: target in Fresh.mounted)
    monkeypatch.setattr(mounts, "detach", Fresh.mounted.discard)
    return Fresh


def wanted(tmp_path: Path) -> Mount:
    target = tmp_path / "pods" / "uid" / "mount"
    target.parent.mkdir(parents=True, exist_ok=True)
    return volumes.mount(
        "v", str(target), volumes.resolved({**CLASS, **CLAIM}), {"configData": CONFIG}, ["umask=0"], readonly=False
    )


def test_a_claim_is_a_folder_named_after_it() -> None:
    assert volumes.resolved({**CLASS, **CLAIM})["remotePath"] == "p-caches/volumes/ray/wheels"


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"remote": "store"},
        {**CLASS},
        {**CLASS, **CLAIM, "remotePath": "p/../q"},
        {**CLASS, **CLAIM, "remotePath": "p/${more}"},
    ],
)
def test_a_class_that_does_not_say_where_is_refused(parameters: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="StorageClass"):
        volumes.resolved(parameters)


def test_without_the_secret_nothing_is_mounted() -> None:
    with pytest.raises(ValueError, match="configData"):
        volumes.mount("v", "/t", volumes.resolved({**CLASS, **CLAIM}), {}, [], readonly=False)


def test_the_class_s_options_are_rclone_s(tmp_path: Path) -> None:
    given = volumes.mount("v", "/t", {**CLASS}, {"configData": CONFIG}, ["umask=0", "allow-other"], readonly=True)
    assert given.options == ("--umask=0", "--allow-other", "--read-only")


def test_the_key_is_in_a_file_for_its_owner_only_and_never_in_the_command(rclone: type[Rclone], tmp_path: Path) -> None:
    Mounts(tmp_path / "kept").publish(wanted(tmp_path))
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "kept").glob("*.[cj]*")} == {0o600}
    assert stat.S_IMODE((tmp_path / "kept").stat().st_mode) == 0o700
    (argv,) = rclone.started
    assert argv[:3] == ["rclone", "mount", "store:p-caches/volumes/ray/wheels"]
    assert "secret_access_key" not in " ".join(argv)


def test_publishing_twice_mounts_once_and_unpublishing_twice_is_fine(rclone: type[Rclone], tmp_path: Path) -> None:
    keeper, mount = Mounts(tmp_path / "kept"), wanted(tmp_path)
    keeper.publish(mount)
    keeper.publish(mount)
    assert len(rclone.started) == 1
    keeper.unpublish(mount.target)
    keeper.unpublish(mount.target)
    assert (list((tmp_path / "kept").iterdir()), Path(mount.target).exists(), rclone.mounted) == ([], False, set())


def test_a_new_pod_of_ours_mounts_again_what_is_still_wanted(rclone: type[Rclone], tmp_path: Path) -> None:
    mount = wanted(tmp_path)
    Mounts(tmp_path / "kept").publish(mount)
    Mounts(tmp_path / "kept").restore()
    assert [argv[3] for argv in rclone.started] == [mount.target] * 2


def test_what_nobody_wants_any_more_is_forgotten(rclone: type[Rclone], tmp_path: Path) -> None:
    mount = wanted(tmp_path)
    Mounts(tmp_path / "kept").publish(mount)
    Path(mount.target).rmdir()
    Path(mount.target).parent.rmdir()
    Mounts(tmp_path / "kept").restore()
    assert (len(rclone.started), list((tmp_path / "kept").iterdir())) == (1, [])


def test_rclone_s_own_words_say_why_it_did_not_mount(rclone: type[Rclone], tmp_path: Path) -> None:
    rclone.fails = True
    with pytest.raises(OSError, match="rclone mount"):
        Mounts(tmp_path / "kept").publish(wanted(tmp_path))


@pytest.mark.parametrize("site", ["kvm-tacc", "chi-uc"])
def test_the_chart_s_class_is_one_that_the_shim_takes(site: str) -> None:
    release = releases.named("object-storage", site, SETTINGS)
    given = values.of(release, SETTINGS)
    shim = values.of(releases.named("csi-rclone-shim", site, SETTINGS), SETTINGS)
    source = (ROOT / "rehearsal/csi/services.py").read_text()
    assert f'NAME = "{given["driver"]}"' in source
    assert given["driver"] == shim["driver"]
    assert f"{SETTINGS.platform}-{given['container']}" in {
        SETTINGS.name("chi-uc", role) for role in SETTINGS.sites["chi-uc"].containers
    }
    assert yaml.safe_load((release.folder / "values.yaml").read_text())["secret"]["namespace"] == release.namespace
    assert json.dumps(given["mountOptions"]).count("vfs-cache-mode=off") == 1
