"""Chameleon's rules of how long a lease is, in Blazar's own place for such rules.

Upstream's filter measures an extended lease from its start, so a lease of the full length can never be extended.
Chameleon measures from the old end, and extends in the last hours of a lease only.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from blazar.enforcement import exceptions
from blazar.enforcement import filters as enforced
from blazar.enforcement.filters.external_service_filter import ExternalServiceFilter
from blazar.enforcement.filters.max_lease_duration_filter import MaxLeaseDurationFilter
from oslo_config import cfg

from rehearsal.clouds.layout import Tree
from rehearsal.clouds.services import faults

TOO_EARLY = "Lease can only be extended within {} seconds of the leases current end time."
"""An extension before its time, in Chameleon's words.

Blazar keeps a lease as it was for refusals of classes that it names, and leaves any other in ERROR. Chameleon's Blazar
names one for this; upstream has none, so it is raised as the filter's own, which is named and has the same code.
"""


class LeaseRules(MaxLeaseDurationFilter, ExternalServiceFilter):  # type: ignore[misc]  # blazar has no types
    """Upstream's two filters as one, since Blazar asks several in no order: what is too long must not be charged.

    `tree` is set by the process that serves it.
    """

    tree: ClassVar[Tree]
    enforcement_opts: ClassVar[list[Any]] = [
        *MaxLeaseDurationFilter.enforcement_opts,
        *ExternalServiceFilter.enforcement_opts,
        cfg.IntOpt("reservation_extension_window", default=-1, help="Seconds before the end; -1: at any time."),
    ]

    def check_for_duration_violation(self, start_date: datetime, end_date: datetime) -> None:
        """Upstream's check, or a shorter limit that a fault sets."""
        limit = faults.read(self.tree).max_lease_s
        seconds = int((end_date - start_date).total_seconds())
        if limit is not None and seconds > limit:
            raise exceptions.MaxLeaseDurationException(lease_duration=seconds, max_duration=limit)
        super().check_for_duration_violation(start_date, end_date)

    def check_create(self, context: Any, lease_values: Any) -> None:
        """Short enough, then paid."""
        super().check_create(context, lease_values)
        ExternalServiceFilter.check_create(self, context, lease_values)

    def check_update(self, context: Any, current_lease_values: Any, new_lease_values: Any) -> None:
        """Shorter: always. Longer: in time, by no more than a lease may be long, and paid."""
        old, new = current_lease_values["end_date"], new_lease_values["end_date"]
        if new > old and not self._exempt(context):
            asked = faults.read(self.tree).extension_window_s
            window = self.conf.enforcement.reservation_extension_window if asked is None else asked
            if window >= 0 and datetime.now(UTC).replace(tzinfo=None) < old - timedelta(seconds=window):
                raise exceptions.MaxLeaseDurationException(TOO_EARLY.format(window))
            self.check_for_duration_violation(old, new)
        ExternalServiceFilter.check_update(self, context, current_lease_values, new_lease_values)

    def on_end(self, context: Any, lease_values: Any) -> None:
        """What was not used comes back."""
        ExternalServiceFilter.on_end(self, context, lease_values)


def register(tree: Tree) -> None:
    """Make the filter known where Blazar looks for filters, and its refusals where Blazar looks for codes.

    What cannot be paid is a 403, as the accounting itself says; upstream's exception makes a 400 of it.
    """
    LeaseRules.tree = tree
    enforced.LeaseRules = LeaseRules
    enforced.all_filters.append(LeaseRules.__name__)
    exceptions.ExternalServiceFilterException.code = 403
