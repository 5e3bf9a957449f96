"""Faults as data, and their switch: what is on is remembered with what it takes to undo it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from provision.errors import DeadlineExceeded, PreconditionMissing, UsageError
from provision.settings import load
from provision.wait import wait_until
from rehearsal.clouds import access
from rehearsal.clouds.access import Access
from rehearsal.clouds.layout import Places
from rehearsal.clouds.services import faults as told
from rehearsal.clouds.sites import SITES
from rehearsal.faults import catalogue, effects, provider, switch, tell
from rehearsal.faults.catalogue import FAULTS, Fault
from rehearsal.faults.credential import Locked, WrongSecret
from rehearsal.faults.effects import Frozen, Keys, Killed
from rehearsal.faults.ground import Ground


@pytest.fixture
def places(tmp_path: Path) -> Places:
    made = Places("case", tmp_path / "state", tmp_path / "cache", tmp_path / "config")
    for site in SITES:
        made.root(site).mkdir(parents=True)
    made.config.mkdir()
    return made


@dataclass
class Recorder:
    """An effect that says what was done with it."""

    done: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)

    def on(self, ground: Ground, name: str) -> dict[str, Any]:
        self.done.append(("on", {}))
        return {"before": 3}

    def off(self, ground: Ground, name: str, memory: dict[str, Any]) -> None:
        self.done.append(("off", memory))


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    made = Recorder()
    monkeypatch.setattr(
        switch,
        "FAULTS",
        {"it": Fault("it", "chi-uc", "something", made), "once": Fault("once", "chi-uc", "else", made, once=True)},
    )
    return made


def test_a_fault_is_undone_with_what_it_remembered(places: Places, recorder: Recorder) -> None:
    assert switch.on(places, "it").since
    assert [state.since != "" for state in switch.listed(places)] == [True, False]
    with pytest.raises(PreconditionMissing, match="is on already"):
        switch.on(places, "it")
    assert [state.name for state in switch.off(places)] == ["it"]
    assert recorder.done == [("on", {}), ("off", {"before": 3})]
    assert switch.off(places, "it") == []


def test_what_happens_once_is_not_on_afterwards(places: Places, recorder: Recorder) -> None:
    switch.on(places, "once")
    switch.on(places, "once")
    assert [state.since for state in switch.listed(places)] == ["", ""]


def test_a_fault_that_cannot_be_taken_back_stays_on_and_keeps_no_other_on(
    places: Places, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stuck(Recorder):
        def off(self, ground: Ground, name: str, memory: dict[str, Any]) -> None:
            raise DeadlineExceeded("it is still there")

    faults = {"stuck": Fault("stuck", "chi-uc", "something", Stuck()), "it": Fault("it", "chi-uc", "else", recorder)}
    monkeypatch.setattr(switch, "FAULTS", faults)
    for name in faults:
        switch.on(places, name)
    with pytest.raises(DeadlineExceeded, match="still there"):
        switch.off(places)
    assert [(state.name, bool(state.since)) for state in switch.listed(places)] == [("stuck", True), ("it", False)]


def test_a_killed_service_is_mended_when_another_process_serves(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    pids: list[int | None] = [7, None, None, 8]
    monkeypatch.setattr(Ground, "serving_pid", lambda _self, _service: pids.pop(0))
    monkeypatch.setattr(effects, "wait_until", partial(wait_until, sleep=lambda _s: None))
    Killed("nova").off(Ground(places, "kvm-tacc"), "nova-killed", {"pid": 7})
    assert pids == []


def test_a_fault_that_is_none_is_a_wrong_command(places: Places) -> None:
    with pytest.raises(UsageError) as caught:
        switch.on(places, "nova-kiled")
    assert "nova-killed" in caught.value.why


def test_where_no_cloud_is_up_there_is_nothing_to_break(places: Places, recorder: Recorder) -> None:
    places.root("chi-uc").rmdir()
    with pytest.raises(PreconditionMissing, match="no cloud to break") as caught:
        switch.on(places, "it")
    assert (caught.value.next, recorder.done) == ("invoke rehearsal.up", [])


def test_the_testbed_has_no_faults_to_switch() -> None:
    with pytest.raises(UsageError, match="chameleon is no rehearsal"):
        tell.fault("chameleon", "case", "no-su", off=False)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_every_fault_happens_at_a_site_that_has_what_it_breaks(fault: Fault) -> None:
    assert fault.about
    site, effect = SITES[fault.site], fault.effect
    service = effect.service if isinstance(effect, Frozen | Killed) else ""
    assert service in ("", *site.services)
    if isinstance(effect, provider.AllHostsLeased):
        assert effect.node_type in {host.node_type for host in site.hosts}


@pytest.mark.parametrize(
    "fault", [one for one in FAULTS.values() if isinstance(one.effect, Keys)], ids=lambda fault: fault.name
)
def test_every_word_of_a_fault_is_one_that_the_services_read(fault: Fault, places: Places) -> None:
    ground = Ground(places, fault.site)
    fault.effect.on(ground, fault.name)
    assert told.read(ground.tree) != told.Faults()
    for answer in told.read(ground.tree).answers:
        assert answer.service in SITES[fault.site].services
    fault.effect.off(ground, fault.name, {})
    assert told.read(ground.tree) == told.Faults()


def test_the_taken_address_is_the_gpu_node_s() -> None:
    assert str(load("rehearsal").sites["chi-uc"].entry.address) == catalogue.GPU_ADDRESS


def test_a_wrong_secret_is_put_right_again(places: Places) -> None:
    given = {site: Access(f"id-{site}", f"right-{site}") for site in SITES}
    for site, access_ in given.items():
        access.write_access(Ground(places, site).tree, access_)
    access.hand_out(places, given)
    before = places.clouds_file.read_text()
    WrongSecret().on(Ground(places, "kvm-tacc"), "wrong-credential")
    clouds = json.loads(places.clouds_file.read_text())["clouds"]
    wrong, right = (clouds[site]["auth"]["application_credential_secret"] for site in SITES)
    assert (wrong[:5], right) == ("wrong", "right-chi-uc")
    WrongSecret().on(Ground(places, "kvm-tacc"), "wrong-credential")
    assert wrong not in places.clouds_file.read_text()
    WrongSecret().off(Ground(places, "kvm-tacc"), "wrong-credential", {})
    assert json.loads(places.clouds_file.read_text()) == json.loads(before)
    assert places.clouds_file.stat().st_mode & 0o777 == 0o600


def test_an_account_that_is_enabled_again_may_be_tried(places: Places) -> None:
    folder = places.config / "refused"
    folder.mkdir()
    for name, site in (("a", "kvm-tacc"), ("b", "chi-uc")):
        (folder / name).write_text(f"20261125T000000Z {site}: HTTP 401: no\n")
    Locked().off(Ground(places, "kvm-tacc"), "account-locked", {})
    assert [file.name for file in folder.iterdir()] == ["b"]


def test_a_table_says_what_is_on() -> None:
    states = [
        switch.State("no-su", "chi-uc", "30 SU left", "20261125T000000Z"),
        switch.State("busy", "chi-uc", "x", ""),
    ]
    rows = tell.table(states).splitlines()
    assert "on since 20261125T000000Z" in rows[0] and " off " in rows[1]
