"""The rehearsal is sealed: no packet with one of its addresses leaves the machine. Only where an environment is embedded."""

from __future__ import annotations

from provision import embedded
from provision.settings import Settings


def test_no_rehearsal_address_leaves_this_machine(settings: Settings) -> None:
    assert embedded.seal_problems(settings) == []
