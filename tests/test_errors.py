"""Every foreseen failure has an exit code of the list, and says what, why, log and next."""

from __future__ import annotations

import pytest

from provision import errors
from provision.errors import PlatformError

CLASSES = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, PlatformError)]
CODES = {
    "StepFailed": 1,
    "CheckFailed": 1,
    "CommandFailed": 1,
    "DeadlineExceeded": 1,
    "DeadState": 1,
    "SettingsError": 2,
    "UsageError": 2,
    "PreconditionMissing": 3,
    "LeaseUnavailable": 3,
    "QuotaExceeded": 3,
    "CredentialsRefused": 3,
    "RunLocked": 3,
    "ToolMissing": 3,
    "NameTaken": 3,
    "DriftFound": 4,
}


@pytest.mark.parametrize(("name", "code"), CODES.items())
def test_exit_codes_are_those_of_the_contract(name: str, code: int) -> None:
    assert getattr(errors, name).exit_code == code


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_every_class_is_in_the_drawn_tree(cls: type[PlatformError]) -> None:
    assert cls.__name__ in (errors.__doc__ or "")
    assert cls.exit_code in {1, 2, 3, 4}


def test_the_text_has_what_then_the_tails_that_exist() -> None:
    error = PlatformError("lease a: not ACTIVE", why="state 'ERROR'", next="invoke provision.lease")
    assert str(error).splitlines() == ["lease a: not ACTIVE", "why: state 'ERROR'", "next: invoke provision.lease"]


def test_a_bare_failure_is_one_line() -> None:
    assert str(PlatformError("it broke")) == "it broke"
