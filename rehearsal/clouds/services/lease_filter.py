"""nova's scheduler filter for Chameleon's first rule: no server without a lease, and the refusal says so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nova import exception
from nova.scheduler import filters

RESERVATION = "aggregate_instance_extra_specs:reservation"
"""Extra spec of the private flavor that an active flavor reservation makes."""


class LeaseFilter(filters.BaseHostFilter):  # type: ignore[misc]  # nova has no types
    """Passes requests that name a reservation, by flavor or by hint; BlazarFilter then finds its hosts."""

    run_filter_once_per_request = True

    def filter_all(self, filter_obj_list: Any, spec_obj: Any) -> Iterator[Any]:
        """All hosts, or NoValidHost with the reason; an empty list would only say that none was found."""
        if not names_reservation(spec_obj):
            raise exception.NoValidHost(
                reason="servers run inside a lease only: boot with the flavor reservation:<id> or the scheduler hint "
                "reservation=<id> of an ACTIVE lease"
            )
        return iter(filter_obj_list)


def names_reservation(spec_obj: Any) -> bool:
    """Whether a request says which reservation it belongs to."""
    return bool(spec_obj.get_scheduler_hint("reservation")) or RESERVATION in (spec_obj.flavor.extra_specs or {})
