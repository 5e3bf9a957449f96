"""The drill of faults as data: each fault has its row, each row can be asked, and the table is readable."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from invoke.parser import Parser

import tasks
from provision.errors import LeaseUnavailable
from provision.settings import load
from provision.site import Site
from rehearsal.faults.catalogue import FAULTS
from verify.drills import drill_faults as drill
from verify.drills import probes
from verify.drills.cli import Answer
from verify.drills.probes import PROBES, Probe
from verify.drills.troubles import TROUBLES, Trouble


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
