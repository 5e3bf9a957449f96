"""Each application in turn without its pods: exactly its checks, and those that need it, are red; one step mends."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import pytest

from provision import releases
from provision.settings import Settings
from provision.site import Site
from verify.drills import zero
from verify.drills.cli import Cli, hit, unexpected
from verify.drills.zero import ZEROES, Zero


@pytest.mark.slow
@pytest.mark.breaks
@pytest.mark.parametrize("case", ZEROES, ids=lambda case: f"{case.site}-{case.release}")
def test_an_application_at_zero_turns_its_checks_red_and_no_others(
    case: Zero, cli: Cli, settings: Settings, doors: Mapping[str, Site], figure: Callable[[str], None]
) -> None:
    """Scale to zero, verify its area and its neighbours', repair with `provision.charts`, verify them again."""
    started, site = time.monotonic(), doors[case.site]
    release = releases.named(case.release, case.site, settings)
    zero.keep_still(site, release)
    zero.take_away(site, release)
    try:
        found = cli.verify(*case.all_areas)
    finally:
        repair = cli.must("provision.charts", "--site", case.site, "--no-check")
    after = cli.must_verify(*case.all_areas)
    seconds = time.monotonic() - started
    figure(f"asked: {', '.join(case.all_areas)}; {len(found.red)} red: {', '.join(found.red)}; {found.green} green")
    figure(f"repaired by {repair.data['changes']} changes in {repair.seconds:.0f} s; {seconds:.0f} s in all")
    assert [pattern for pattern in (case.own, *case.must) if not hit(found.red, pattern)] == []
    assert unexpected(found.red, case.own, (*case.must, *case.may, *zero.noticed(release))) == []
    assert repair.data["changes"] > 0
    assert after.green > 0
    assert seconds <= cli.budget("drill.zero_s")
