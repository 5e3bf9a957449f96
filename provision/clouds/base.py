"""What a cloud can do for tandem. Verbs: find_x -> X | None; list_xs; create_x; delete_x (silent if absent).

Everything listed is ours by tag; our name without our tag raises NameTaken.
"""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Protocol


class Cloud(Protocol):
    """One site's OpenStack APIs."""

    def floating_address(self) -> IPv4Address | None:
        """The floating IP of the site's entry node, or None."""
