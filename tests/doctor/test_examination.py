"""The whole examination: from no account at all to a platform that stands; what is asked, and what is not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from provision.commands import Options
from provision.doctor import examination, platform
from provision.doctor.finding import Finding
from provision.link import Probe
from provision.node_facts import Told
from provision.settings import Allocation, Settings, load
from provision.state import Run
from tests.doctor.doubles import NOW, FakeProspect, fake_site

TESTBED = Options(env="chameleon", platform="vision")


@pytest.fixture(autouse=True)
def quiet_world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every program is there, every name known, every registry well; runs go to a folder of the test."""
    monkeypatch.setattr("provision.shell.find", lambda tool: Path("/usr/bin") / tool)
    monkeypatch.setattr("provision.doctor.machine.testbed", lambda _settings: iter(()))
    monkeypatch.setattr("provision.doctor.registries.registries", lambda _settings: iter(()))
    monkeypatch.setattr(examination, "Run", lambda _folder: Run(tmp_path))


@pytest.fixture
def no_clouds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Settings, "clouds_path", property(lambda _self: tmp_path / "clouds.yaml"))


def with_sites(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, **asks: FakeProspect) -> None:
    (tmp_path / "clouds.yaml").write_text("{}")
    (tmp_path / "clouds.yaml").chmod(0o600)

    def opened(settings: Settings, _run: Run) -> dict[str, Any]:
        return {name: fake_site(name, asks.get(name.replace("-", "_")), settings=settings) for name in settings.sites}

    monkeypatch.setattr(examination, "open_sites", opened)


def test_without_an_account_it_tells_the_way_from_nothing(no_clouds: None, capsys: pytest.CaptureFixture[str]) -> None:
    told = examination.run(TESTBED)
    assert told["exit_code"] == 3
    text = capsys.readouterr().err
    assert "auth_url: https://kvm.tacc.chameleoncloud.org:5000/v3" in text
    assert "auth_url: https://chi.uc.chameleoncloud.org:5000/v3" in text
    assert "Unrestricted" in text and "member and reader" in text
    assert "invoke doctor --live" in text


def test_without_a_platform_s_name_all_the_rest_is_examined(no_clouds: None) -> None:
    found = list(examination.examine(Options(env="chameleon"), live=False))
    assert found[0].ok is False
    assert "--platform" in found[0].next
    assert [finding.name for finding in found][-1] == "clouds.yaml"


def test_settings_that_cannot_be_read_end_it() -> None:
    (found,) = examination.examine(Options(env="nowhere"), live=False)
    assert (found.name, found.ok) == ("settings", False)


def test_both_sites_are_asked(no_clouds: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with_sites(monkeypatch, tmp_path)
    found = {finding.name: finding for finding in examination.examine(TESTBED, live=False)}
    assert {"kvm-tacc credential", "chi-uc credential", "kvm-tacc lease", "chi-uc lease", "chi-uc GPU", "link"} <= set(
        found
    )
    assert [name for name, finding in found.items() if not finding.ok] == ["allocation"]  # its end is in no file


def test_a_site_that_refuses_is_not_asked_for_anything_else(
    no_clouds: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from provision.errors import CredentialsRefused

    ask = FakeProspect(credential=CredentialsRefused("chi-uc: log in: credentials refused", why="HTTP 401"))
    with_sites(monkeypatch, tmp_path, chi_uc=ask)
    names = [finding.name for finding in examination.examine(TESTBED, live=False)]
    assert [name for name in names if name.startswith("chi-uc")] == ["chi-uc credential"]
    assert "kvm-tacc lease" in names
    assert "link" not in names


def test_a_file_of_credentials_that_others_can_read_is_told(
    no_clouds: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with_sites(monkeypatch, tmp_path)
    (tmp_path / "clouds.yaml").chmod(0o644)
    found = {finding.name: finding for finding in examination.examine(TESTBED, live=False)}
    assert found["clouds.yaml"].next == f"chmod 600 {tmp_path / 'clouds.yaml'}"
    assert not found["clouds.yaml"].ok


def test_the_trial_waits_until_the_rest_is_well(
    no_clouds: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with_sites(monkeypatch, tmp_path)
    begun: list[str] = []

    def trial(_settings: Settings, _options: Options) -> Iterator[Finding]:
        begun.append("trial")
        yield Finding("trial", True, "done")

    monkeypatch.setattr("provision.doctor.trial.findings", trial)
    last = list(examination.examine(TESTBED, live=True))[-1]
    assert (last.name, last.ok, begun) == ("trial", False, [])
    monkeypatch.setattr(platform, "allocation", lambda _settings, _now: Finding("allocation", True, "told"))
    assert list(examination.examine(TESTBED, live=True))[-1].why == "done"
    assert begun == ["trial"]


def test_the_allocation_is_told_in_hours() -> None:
    settings = load("chameleon", platform="vision")
    assert "ends = YYYY-MM-DD" in platform.allocation(settings, NOW).next
    for day, ok in (("2026-12-24", True), ("2026-12-01", False)):
        told = settings.model_copy(update={"allocation": Allocation.model_validate({"ends": day, "balance_su": 300})})
        found = platform.allocation(told, NOW)
        assert (found.ok, "300 SU written down" in found.why) == (ok, True)


def test_a_card_and_a_link_that_stand_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load("rehearsal", platform="case")
    site = fake_site("chi-uc", settings=settings, servers=1, hosts=SimpleNamespace())
    monkeypatch.setattr("provision.node_facts.ask", lambda _hosts, _node, _question: Told(answers=True, gpus=0))
    monkeypatch.setattr(
        "provision.link_ends.probe", lambda _site: Probe(True, {}, "activating enabled", (), "ssh-ed25519 A")
    )
    gpu, link = platform.standing(settings, {"chi-uc": site})
    assert (gpu.ok, gpu.why) == (False, "0 of 1 answer NVML on gpu1 (simulated)")
    assert gpu.next == "invoke provision.nodes --env rehearsal --site chi-uc"
    assert (link.ok, link.why) == (False, "unit on gpu1 is activating enabled")
