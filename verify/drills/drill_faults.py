"""Every fault of the testbed, one after the other: what tandem does, its exit code, what is left. Ends with the table.

The clouds run, the platform does not stand: most faults cost one command. What a fault needs is built before it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import pytest

from provision import say
from provision.site import Site
from provision.state import Run, write_atomic
from provision.wait import never, wait_until
from verify.drills import probes
from verify.drills.cli import Answer, Cli, tail
from verify.drills.listing import Listing
from verify.drills.probes import PROBES, Probe
from verify.drills.troubles import LEASE, TO_NETWORK, TROUBLES, Trouble

HEAD = ("fault", "what tandem did", "exit code", "leftovers")
KEPT = "-volume-"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    fault: str
    did: str
    codes: str
    leftovers: str


@pytest.fixture(scope="module", autouse=True)
def left_verified(cli: Cli) -> Iterator[None]:
    """Nothing stands before and after but the clouds and the data; whatever a red case left on is switched off."""
    cli.must(*LEASE, deadline="drill.converge_deadline_s")  # what starts clouds that do not run
    cli.must("rehearsal.fault", "all", "--off")
    cli.must("provision.destroy", deadline="drill.converge_deadline_s")
    yield
    cli.must("rehearsal.fault", "all", "--off")
    cli.must("provision.destroy", deadline="drill.converge_deadline_s")


@pytest.fixture(scope="module")
def rows(run: Run) -> Iterator[list[Row]]:
    """The table; printed and kept when all has been tried."""
    found: list[Row] = []
    yield found
    say.text(table(found))
    write_atomic(run.folder / "faults.txt", table(found) + "\n")


@pytest.mark.breaks
@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.fault)
def test_a_fault_is_told_survived_and_leaves_nothing(
    trouble: Trouble, cli: Cli, clouds: Mapping[str, Listing], rows: list[Row], figure: Callable[[str], None]
) -> None:
    """Build what it needs, let it happen, ask, mend it, ask again, take everything away."""
    cloud = clouds[trouble.site]
    bare = cloud.volumes_aside(deadline_s=cli.budget("drill.repair_deadline_s")) if trouble.bare else nullcontext()
    with bare, cleared_if_red(cli, trouble.fault, rows):
        answers = asked(trouble, cli, cloud)
        left = leftovers(cli, cloud, trouble.site)
        codes = ", ".join(str(answer.code) for answer in answers)
        rows.append(Row(trouble.fault, trouble.did, codes, ", ".join(left) or "none"))
        figure(f"exit code {codes} in {sum(answer.seconds for answer in answers):.0f} s; leftovers: {len(left)}")
        assert [problem(answer, ask.codes, ask.says) for answer, ask in zip(answers, trouble.asks, strict=True)] == [
            "" for _ in answers
        ]
        assert left == []


def asked(trouble: Trouble, cli: Cli, cloud: Listing) -> list[Answer]:
    """What tandem answered while the fault was on; afterwards it is off, and what can be built again is."""
    at = ("--site", trouble.site)
    for words in trouble.before:
        cli.must(*words, *(() if words[0] == "rehearsal.fault" else at))
    cli.must("rehearsal.fault", trouble.fault)
    try:
        if trouble.ends:
            await_end(cloud, cli.budget("drill.lease_end_s"))
        answers = [cli.invoke(*ask.words, *at) for ask in trouble.asks]
    finally:
        cli.must("rehearsal.fault", trouble.fault, "--off")
    if trouble.after:
        cli.must(*trouble.after, *at)
    return answers


@contextmanager
def cleared_if_red(cli: Cli, fault: str, rows: list[Row]) -> Iterator[None]:
    """One red case is one red case: whatever it left on or standing is not there for the next one."""
    green = False
    try:
        yield
        green = True
    finally:
        if not green:  # whatever comes of this, the case's own failure is what is told
            rows[:] = [*(row for row in rows if row.fault != fault), Row(fault, "RED", "-", "-")]
            cli.invoke("rehearsal.fault", "all", "--off")
            cli.invoke("provision.destroy", deadline="drill.converge_deadline_s")


@pytest.fixture(scope="module")
def half_built(cli: Cli, left_verified: None) -> None:
    """Leases and networks at both sites, for questions that need something to ask about."""
    cli.must(*TO_NETWORK, deadline="drill.converge_deadline_s")


@pytest.mark.breaks
@pytest.mark.usefixtures("half_built")
@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
def test_a_refusal_of_a_service_has_its_class(
    probe: Probe, doors: Mapping[str, Site], clouds: Mapping[str, Listing], rows: list[Row]
) -> None:
    """Asked through the platform's own doors."""
    before = clouds[probe.site].names()
    told, code = probes.outcome(probe, doors[probe.site])
    after = clouds[probe.site].names()
    rows.append(Row(probe.name, told, str(code), "none" if after == before else f"{after}"))
    assert re.search(probe.says, told), told
    assert code == probe.code
    assert after == before


def await_end(cloud: Listing, deadline_s: float) -> None:
    """Blazar ends a lease of servers, and the servers with it."""
    wait_until(
        f"{cloud.site}: leases of servers over",
        lambda: [name for name in cloud.names()["lease"] if name.endswith("-lease")],
        lambda live: not live,
        never,
        deadline_s=deadline_s,
    )


def leftovers(cli: Cli, cloud: Listing, site: str) -> list[str]:
    """What is left after everything of ours was taken away; the volume is data and stays."""
    told = cli.invoke("provision.destroy", "--site", site)
    listed = [f"{kind} {name}" for kind, names in cloud.names().items() for name in names]
    return [*map(str, told.data.get("leftovers", ())), *(one for one in listed if KEPT not in one)]


def problem(answer: Answer, codes: tuple[int, ...], says: str) -> str:
    """What is wrong with an answer, or ''."""
    text = answer.log.read_text()
    if answer.code not in codes:
        return f"exit code {answer.code}, want {codes}: {tail(answer.log)}"
    return "" if re.search(says, text) else f"nothing like {says!r} in {tail(answer.log)}"


def table(rows: list[Row]) -> str:
    """For a person."""
    cells = [HEAD, *((row.fault, row.did, row.codes, row.leftovers) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEAD))]
    return "\n".join(
        "  ".join(f"{text:<{width}}" for text, width in zip(line, widths, strict=True)).rstrip() for line in cells
    )
