"""Verification notices: with each fault red at the right check and nowhere else, with evidence; one step mends."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from provision.site import Site
from verify.drills.cli import Cli, collected, hit, unexpected
from verify.drills.faults import FAULTS, Fault


@pytest.mark.slow
@pytest.mark.breaks
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_verification_is_red_at_the_right_check_until_the_step_repairs_it(
    fault: Fault, cli: Cli, doors: Mapping[str, Site], figure: Callable[[str], None]
) -> None:
    """Break, verify everything, repair with one step, verify what was red."""
    fault.break_it(doors)
    try:
        found = cli.verify()
    finally:
        repair = cli.must(f"provision.{fault.step}", "--site", fault.site)
    evidence = collected(found.evidence, found.red)
    after = cli.must_verify(*fault.areas)
    figure(f"red after {found.seconds:.0f} s at {', '.join(found.red)}; {found.green} stayed green")
    figure(f"evidence: {sum(evidence.values())} files")
    figure(f"repaired by {repair.data['changes']} changes in {repair.seconds:.0f} s")
    assert hit(found.red, fault.must), f"nothing like {fault.must} in {found.red}"
    assert unexpected(found.red, fault.must, fault.may) == []
    assert [name for name, files in evidence.items() if not files] == []
    assert repair.data["changes"] > 0
    assert after.green > 0
