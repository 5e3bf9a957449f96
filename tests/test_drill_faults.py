"""The drill of faults as data: each fault has its row, each row can be asked, and the table is readable."""

from __future__ import annotations

import re
from contextlib import nullcontext, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from invoke.parser import Parser

import tasks
from provision.errors import LeaseUnavailable, PreconditionMissing
from provision.settings import load
from provision.site import Site
from rehearsal.faults.catalogue import FAULTS
from verify.drills import drill_faults as drill
from verify.drills import probes
from verify.drills.cli import Answer, CommandRed
from verify.drills.listing import Listing
from verify.drills.probes import PROBES, Probe
from verify.drills.troubles import TROUBLES, Ask, Trouble


def test_every_fault_is_drilled_once_at_its_site() -> None:
    assert sorted((trouble.fault, trouble.site) for trouble in TROUBLES) == sorted(
        (fault.name, fault.site) for fault in FAULTS.values()
    )


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.fault)
def test_every_command_of_a_row_is_one_that_can_be_typed(trouble: Trouble) -> None:
    contexts = tasks.namespace.to_contexts()
    for words in (*trouble.before, *(ask.words for ask in trouble.asks), trouble.after):
        if words:
            Parser(contexts=contexts).parse_argv([*words, "--env", "rehearsal", "--yes", "--json"])
    for ask in trouble.asks:
        re.compile(ask.says)


def test_a_wrong_exit_code_and_silence_are_problems(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("lease > FAILED 306 SU are missing")
    answer = Answer(3, {}, 1.0, log)
    assert drill.problem(answer, (3,), "SU are missing") == ""
    assert drill.problem(answer, (0,), "SU are missing").startswith("exit code 3, want (0,)")
    assert drill.problem(answer, (3,), "quota").startswith("nothing like 'quota'")


class Person:
    """Types what a drill asks for; `red` is what goes wrong."""

    def __init__(self, log: Path, *red: str) -> None:
        self.log, self.red = log, red
        self.typed: list[str] = []

    def invoke(self, *words: str, deadline: str = "") -> Answer:
        self.typed.append(" ".join(words))
        return Answer(1 if self.typed[-1] in self.red else 0, {}, 1.0, self.log)

    def must(self, *words: str, deadline: str = "") -> Answer:
        if self.invoke(*words).code:
            raise CommandRed(" ".join(words))
        return Answer(0, {}, 1.0, self.log)


CLEARED = ["rehearsal.fault all --off", "provision.destroy"]
ROW = Trouble("no-su", "chi-uc", "says", (Ask(("provision.lease",), (0,), "lease"),), after=("provision.lease",))


@pytest.mark.parametrize(
    ("red", "cleared"),
    [("", []), ("provision.lease --site chi-uc", CLEARED), ("rehearsal.fault no-su --off", CLEARED)],
    ids=["green", "red afterwards", "cannot be switched off"],
)
def test_a_red_case_leaves_nothing_on_and_nothing_standing(red: str, cleared: list[str], tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("lease > ok")
    person: Any = Person(log, red)
    rows: list[drill.Row] = []
    with suppress(CommandRed), drill.cleared_if_red(person, ROW.fault, rows):
        drill.asked(ROW, person, cast(Listing, None))
    begun = ["rehearsal.fault no-su", "provision.lease --site chi-uc", "rehearsal.fault no-su --off"]
    assert person.typed[:3] == begun
    assert [row.did for row in rows] == (["RED"] if cleared else [])
    assert person.typed[-2:] == (cleared or ["rehearsal.fault no-su --off", "provision.lease --site chi-uc"])


class Volumes:
    """Cinder. by_id: names."""

    def __init__(self, **by_id: str) -> None:
        self.by_id = by_id

    def volumes(self) -> list[Any]:
        return [SimpleNamespace(id=id_, name=name) for id_, name in self.by_id.items()]

    def update_volume(self, volume: str, *, name: str) -> None:
        self.by_id[volume] = name

    def delete_volume(self, volume: str) -> None:
        del self.by_id[volume]


def listing_of(volumes: Volumes) -> Listing:
    session: Any = SimpleNamespace(asking=lambda _what: nullcontext(SimpleNamespace(block_storage=volumes)))
    return Listing(load("rehearsal", platform="case"), "kvm-tacc", session)


def test_volumes_that_hold_data_are_set_aside_and_put_back() -> None:
    volumes = Volumes(a="case-kvm-tacc-volume-1", b="somebody's")
    with listing_of(volumes).volumes_aside(deadline_s=1.0):
        assert volumes.by_id == {"a": "aside-case-kvm-tacc-volume-1", "b": "somebody's"}
        volumes.by_id["c"] = "case-kvm-tacc-volume-1"
    assert volumes.by_id == {"a": "case-kvm-tacc-volume-1", "b": "somebody's"}


def test_what_a_killed_drill_set_aside_is_a_person_s_to_put_back() -> None:
    volumes = Volumes(a="aside-case-kvm-tacc-volume-1", c="case-kvm-tacc-volume-1")
    with pytest.raises(PreconditionMissing) as caught, listing_of(volumes).volumes_aside(deadline_s=1.0):
        pass
    assert caught.value.next == "openstack --os-cloud kvm-tacc volume set --name case-kvm-tacc-volume-1 a"
    assert volumes.by_id["c"] == "case-kvm-tacc-volume-1"


def test_what_is_left_is_told_but_the_volume() -> None:
    destroyed = Answer(0, {"leftovers": ["chi-uc: port p"]}, 1.0, Path("/dev/null"))
    cli: Any = SimpleNamespace(invoke=lambda *words: destroyed)
    names = {"server": ("case-kvm-tacc-node-1",), "volume": ("case-kvm-tacc-volume-1",)}
    cloud: Any = SimpleNamespace(names=lambda: names)
    assert drill.leftovers(cli, cloud, "kvm-tacc") == ["chi-uc: port p", "server case-kvm-tacc-node-1"]


def test_the_table_has_a_row_a_fault() -> None:
    lines = drill.table([drill.Row("no-su", "says how many SU are missing", "3", "none")]).splitlines()
    assert lines[0].split() == ["fault", "what", "tandem", "did", "exit", "code", "leftovers"]
    assert lines[1] == "no-su  says how many SU are missing  3          none"


def test_a_probe_tells_its_refusal_and_exit_code() -> None:
    def refused(_site: Site) -> object:
        raise LeaseUnavailable("no slot", why="HTTP 500: Not enough hosts\navailable")

    probe = Probe("x", "chi-uc", refused, 3, "HTTP 500")
    assert probes.outcome(probe, cast(Site, None)) == ("no slot: HTTP 500: Not enough hosts available", 3)
    assert probes.outcome(Probe("y", "chi-uc", lambda _site: None, 0, ""), cast(Site, None)) == ("done: None", 0)


def test_probes_ask_sites_that_exist() -> None:
    assert {probe.site for probe in PROBES} <= set(load("rehearsal").sites)
