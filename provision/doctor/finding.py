"""One line of the examination."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from provision.errors import PlatformError


@dataclass(frozen=True, slots=True)
class Finding:
    """ok, why it is thought so, and what to type when it is not."""

    name: str
    ok: bool
    why: str
    next: str = ""


def asked(name: str, question: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """The findings of a question; one that cannot be answered is a finding itself, in its failure's words."""
    try:
        yield from tuple(question())
    except PlatformError as error:
        yield Finding(name, False, " ".join(filter(None, (error.what, error.why))), error.next)
