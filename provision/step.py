"""The step protocol: a step is a module that looks, plans and applies; the engine does the rest.

`want`, `plan` and `undo` are pure; `look` only reads; `apply` does one change and may be repeated safely.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeVar

from provision.settings import Settings
from provision.site import Site

Verb = Literal["create", "update", "replace", "delete", "run"]


@dataclass(frozen=True, slots=True)
class Change:
    """One thing to do. Data, so it can be printed, compared, tested and logged.

    verb: one of five. what: 'server rehearsal-kvm-tacc-node-1'. why: 'have 0, want 1'.
    args: what apply needs, plain, never a secret. data: deleting this loses what a person put there
    (a volume, a container): `provision.destroy` leaves it unless told `--data`.
    """

    verb: Verb
    what: str
    why: str
    args: Mapping[str, str | int] = field(default_factory=dict)
    data: bool = False


Want = TypeVar("Want")
Have = TypeVar("Have")


class Step(Protocol[Want, Have]):
    """What a step module offers. Its docstring is its runbook: Meaning / Look / Recover / Undo."""

    @property
    def NAME(self) -> str:
        """The file's, the task's, the case folder's, the check's and the log's name."""

    @property
    def NEEDS(self) -> tuple[str, ...]:
        """Steps of the same site that must stand before this one can look."""

    @property
    def JOINS(self) -> bool:
        """Whether it needs both sites to have got this far (only `tunnel`)."""

    @property
    def DEADLINE_S(self) -> int:
        """For all changes of one walk together; looked at before each, since a change's own waits have their own."""

    @property
    def SETTLE_S(self) -> int:
        """How long after the last change the second plan may take to become empty."""

    @property
    def CHECKS(self) -> tuple[str, ...]:
        """Check files under verify/ that prove this step; never empty."""

    @property
    def NOTHING(self) -> Have:
        """What `look` would answer where nothing exists yet: lets `plan` speak before there is a cloud to ask."""

    def want(self, settings: Settings, site_name: str, /) -> Want:
        """What should exist at this site, from settings alone. An empty want is fine."""

    def look(self, site: Site, want: Want, /) -> Have:
        """What exists, by name and tag. Reads only."""

    def plan(self, want: Want, have: Have, /) -> Sequence[Change]:
        """What to do, in order. () means nothing."""

    def apply(self, site: Site, change: Change, /) -> None:
        """Do one change. Killed half-way and repeated, it must converge."""

    def undo(self, have: Have, /) -> Sequence[Change]:
        """What destroy would do, in order."""


AnyStep = Step[Any, Any]
