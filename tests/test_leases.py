"""lease.status and lease.extend over a Blazar that does as told."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from provision import leases, leasing
from provision.clouds.facts import Busy, Lease, Others
from provision.commands import Options
from provision.errors import UsageError
from provision.settings import Settings, load
from provision.site import Site
from provision.state import Run
from tests.lease_doubles import FakeLeases

HOUR = 3600


@dataclass
class World:
    """Both sites' leases, with so many hours left; `fip` and `hosts` are the ids, with the site before."""

    settings: Settings
    doors: dict[str, FakeLeases]
    servers: int = 1

    @property
    def sites(self) -> Mapping[str, Site]:
        return {
            name: cast(
                Site,
                SimpleNamespace(
                    name=name,
                    settings=self.settings,
                    cloud=SimpleNamespace(leases=door, count_servers=lambda: self.servers),
                ),
            )
            for name, door in self.doors.items()
        }


Make = Callable[..., World]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Make:
    def make(hours: Mapping[str, float], **change: Any) -> World:
        settings = load("rehearsal", platform="case").model_copy(update=change)
        made = World(settings, {name: FakeLeases([], held(settings, name, left)) for name, left in hours.items()})
        monkeypatch.setattr(leases, "settings_of", lambda _options: settings)
        monkeypatch.setattr(leases, "open_sites", lambda _settings, _run: made.sites)
        monkeypatch.setattr(leases, "Run", lambda _folder: Run(tmp_path))
        monkeypatch.setattr("provision.embedded.is_up", lambda _settings: True)

        @contextmanager
        def session(*_args: object, **_more: object) -> Iterator[tuple[Run, Mapping[str, Site]]]:
            yield Run(tmp_path), made.sites

        monkeypatch.setattr(leases, "session", session)
        return made

    return make


def held(settings: Settings, site: str, hours: float) -> list[Lease]:
    now = int(time.time())
    return [
        Lease(
            wish.name,
            "ACTIVE",
            hours,
            (wish.reservation,),
            f"{site}-{'fip' if wish.name.endswith('fip') else 'hosts'}",
            now + round(hours * HOUR),
            now - 100 * HOUR,
        )
        for wish in leasing.wanted(settings, site)
    ]


def test_hosts_are_extended_before_their_address(world: Make) -> None:
    made = world({"chi-uc": 40})
    told = leases.extend(Options(site="chi-uc"))
    assert [lease for lease, _ in made.doors["chi-uc"].extended] == ["chi-uc-hosts", "chi-uc-fip"]
    assert told["exit_code"] == 0
    rows = cast(list[dict[str, Any]], told["extended"])
    assert [round(row["hours"]) for row in rows] == [128, 128]
    assert [round(row["su"]) for row in rows] == [256, 0]


def test_a_site_whose_time_has_not_come_is_left_alone(world: Make) -> None:
    made = world({"kvm-tacc": 500, "chi-uc": 40})
    told = leases.extend(Options())
    assert made.doors["kvm-tacc"].extended == []
    assert told["exit_code"] == 0
    assert "cannot be extended yet" in cast(list[dict[str, str]], told["refused"])[0]["what"]


def test_when_nothing_can_be_extended_the_exit_code_is_3(world: Make) -> None:
    world({"kvm-tacc": 500})
    assert leases.extend(Options())["exit_code"] == 3


def test_hosts_that_somebody_else_has_next_are_told_and_the_address_is_kept(world: Make) -> None:
    made = world({"chi-uc": 40})
    door = made.doors["chi-uc"]
    ends = door.leases[1].ends
    door.busy = {"rtx-01": (Busy(0, ends, "chi-uc-hosts"), Busy(ends + 300, ends + 9000, "theirs"))}
    told = leases.extend(Options())
    assert [lease for lease, _ in door.extended] == ["chi-uc-fip"]
    assert told["exit_code"] == 3
    assert "somebody else has the host" in cast(list[dict[str, str]], told["refused"])[0]["why"]


def test_an_answer_without_an_effect_is_a_failure(world: Make) -> None:
    made = world({"chi-uc": 40})
    made.doors["chi-uc"].deaf = True
    told = leases.extend(Options())
    assert told["exit_code"] == 1
    assert "was not extended" in cast(list[dict[str, str]], told["refused"])[0]["what"]


def test_a_lease_that_ended_meanwhile_is_not_believed_to_go_on(world: Make) -> None:
    """Blazar answers 200, and moves the end of a lease that is over."""
    made = world({"chi-uc": 40})
    made.doors["chi-uc"].over = True
    told = leases.extend(Options())
    assert (told["exit_code"], told["extended"]) == (1, [])
    assert all("TERMINATED" in row["why"] for row in cast(list[dict[str, str]], told["refused"]))


def test_what_costs_something_is_asked_for(world: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    made = world({"chi-uc": 40}, spends=True)
    monkeypatch.setattr("provision.say.has_terminal", lambda: False)
    with pytest.raises(UsageError):
        leases.extend(Options())
    assert made.doors["chi-uc"].extended == []
    assert leases.extend(Options(yes=True))["exit_code"] == 0


def test_status_tells_hours_window_and_price(world: Make) -> None:
    made = world({"chi-uc": 40})
    made.doors["chi-uc"].others = Others(("vision",), 3)
    told = leases.status(Options())
    fip, hosts = cast(list[dict[str, Any]], told["leases"])
    assert (hosts["hours_left"], hosts["per_hour_su"], hosts["until_end_su"]) == (40.0, 2.0, 80.0)
    assert hosts["next"] == "invoke lease.extend --env rehearsal --site chi-uc"
    assert fip["per_hour_su"] == 0
    assert told["others"] == [{"site": "chi-uc", "platforms": ["vision"], "leases": 3}]


def test_status_says_when_a_lease_is_used_by_nobody(world: Make) -> None:
    world({"chi-uc": 60}).servers = 0
    _, hosts = cast(list[dict[str, Any]], leases.status(Options())["leases"])
    assert "no server for 100.0 h" in hosts["why"]
    assert hosts["next"] == "invoke provision.all --env rehearsal --site chi-uc"


def test_status_without_a_lease_says_what_to_type(world: Make) -> None:
    world({"chi-uc": 60}).doors["chi-uc"].leases.clear()
    rows = cast(list[dict[str, Any]], leases.status(Options())["leases"])
    assert {(row["status"], row["next"]) for row in rows} == {
        ("none", "invoke provision.all --env rehearsal --site chi-uc")
    }


def test_status_as_ics_has_two_dates_a_lease(world: Make, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    world({"chi-uc": 60})
    leases.status(Options(), as_ics=True)
    text = capsysbinary.readouterr().out.decode()
    assert text.count("BEGIN:VEVENT") == 4
    assert "SUMMARY:case: case-chi-uc-lease ends: its servers are deleted" in text.replace("\r\n ", "")


def test_ics_and_json_exclude_each_other(world: Make) -> None:
    world({"chi-uc": 60})
    with pytest.raises(UsageError):
        leases.status(Options(json=True), as_ics=True)
