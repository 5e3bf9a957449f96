"""Chameleon's accounting, as Blazar's ExternalServiceFilter asks it: may a lease be made, may it be longer, it ended.

The rules and their words are the portal's: a whole lease is charged against the project's balance and the user's budget
when it is made, what is left of it comes back when it ends early, and no lease outlives the allocation.
Hosts tell their own rate (`su_factor`, as on Chameleon); flavors by a table of the site.
"""

from __future__ import annotations

import hmac
import json
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rehearsal.clouds.services.faults import Faults

GRANTED_SU = 20000.0
"""A default allocation's."""
PAST = (
    "Cannot create a lease beyond Chameleon project expiration date. Please ask your PI to request an allocation "
    "renewal. https://chameleoncloud.readthedocs.io/en/latest/user/project.html#recharge-or-extend-your-allocation"
)
_RELEASED = "virtual:floatingip"
Body = Mapping[str, Any]


class BillingError(Exception):
    """A lease that cannot be paid, in the portal's words."""


@dataclass
class Ledger:
    """What leases cost. rates: SU per hour by flavor id. file: charges, kept over restarts."""

    file: Path
    rates: Mapping[str, float]
    project: str = "CHI-tandem"
    user: str = "tandem"

    def check_create(self, body: Body, faults: Faults) -> None:
        """Charge a new lease, or raise BillingError."""
        lease = body["lease"]
        cost, left = self._cost(lease), self._left(faults)
        if cost > left:
            raise BillingError(
                f"Reservation for project {self.project} would spend {cost:.2f} SUs, only {left:.2f} left"
            )
        if faults.budget_su is not None and cost > faults.budget_su:
            raise BillingError(
                f"Reservation for user {self.user} would spend {cost:.2f} SUs, "
                f"only {faults.budget_su:.2f} left in user budget"
            )
        _refuse_past(lease, faults)
        self._charge(lease, cost)

    def check_update(self, body: Body, faults: Faults) -> None:
        """Charge what a lease costs more than before, or raise BillingError."""
        old, new = body["current_lease"], body["lease"]
        more, left = self._cost(new) - self._cost(old), self._left(faults)
        if more > left:
            raise BillingError(f"Reservation update would spend {more:.2f} more SUs, only {left:.2f} left")
        _refuse_past(new, faults)
        self._charge(old, self._cost(new))  # of the new one Blazar tells dates and hosts, not the name

    def on_end(self, body: Body, _faults: Faults) -> None:
        """Give back what a lease did not use."""
        lease = body["lease"]
        until = min(_date(lease["end_date"]), datetime.now(UTC))
        self._charge(lease, self._cost({**lease, "end_date": until.isoformat()}))

    def _left(self, faults: Faults) -> float:
        if faults.balance_su is not None:
            return faults.balance_su
        return GRANTED_SU - sum(self._charges().values())

    def _cost(self, lease: Body) -> float:
        hours = (_date(lease["end_date"]) - _date(lease["start_date"])).total_seconds() / 3600
        return max(0.0, hours) * sum(self._rate(held) for held in lease["reservations"])

    def _rate(self, held: Body) -> float:
        if held["resource_type"] == _RELEASED:
            return 0.0
        if held.get("flavor_id"):
            return self.rates.get(str(held["flavor_id"]), 0.0) * int(held.get("amount") or 1)
        return sum(float(host.get("su_factor") or 1.0) for host in held["allocations"])

    def _charges(self) -> dict[str, float]:
        return dict(json.loads(self.file.read_text())) if self.file.exists() else {}

    def _charge(self, lease: Body, cost: float) -> None:
        """By name and start: a lease that is being made has no id yet."""
        key = f"{lease['name']} {_date(lease['start_date']):%Y-%m-%dT%H:%M}"
        fresh = self.file.with_name(self.file.name + ".new")
        fresh.write_text(json.dumps({**self._charges(), key: round(cost, 4)}, indent=1))
        fresh.replace(self.file)


def application(ledger: Ledger, token: str, read: Callable[[], Faults]) -> Callable[..., Iterable[bytes]]:
    """204: it may be. 403: it may not, and why."""
    verbs = {
        "/check-create": ledger.check_create,
        "/check-update": ledger.check_update,
        "/on-end": ledger.on_end,
    }
    one_at_a_time = threading.Lock()

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        verb = verbs.get(environ.get("PATH_INFO", ""))
        if verb is None or not hmac.compare_digest(environ.get("HTTP_X_AUTH_TOKEN", ""), token):
            return _told(start_response, "404 Not Found", "no such question, or not from Blazar")
        body = json.loads(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
        try:
            with one_at_a_time:
                verb(body, read())
        except BillingError as refused:
            return _told(start_response, "403 Forbidden", str(refused))
        start_response("204 No Content", [])
        return []

    return answer


def _refuse_past(lease: Body, faults: Faults) -> None:
    if faults.allocation_ends and _date(lease["end_date"]) > _date(faults.allocation_ends):
        raise BillingError(PAST)


def _told(start_response: Callable[..., Any], status: str, message: str) -> Iterable[bytes]:
    start_response(status, [("Content-Type", "application/json")])
    return [json.dumps({"message": message}).encode()]


def _date(text: str) -> datetime:
    """A date as Blazar's filter sends it (ISO), or as its database tells it."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
