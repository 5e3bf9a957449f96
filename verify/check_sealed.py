"""The rehearsal is sealed: none of its packets leaves the machine. A real testbed has no seal and passes."""

from __future__ import annotations

from provision import embedded
from provision.settings import Settings


def test_no_rehearsal_address_leaves_this_machine(settings: Settings) -> None:
    """Routes, forwarding and counted packets, as the network itself proves them."""
    assert embedded.seal_problems(settings) == []
