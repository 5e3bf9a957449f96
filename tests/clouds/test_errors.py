"""HTTP answers in our words: class, exit code, and what to type next."""

from __future__ import annotations

import pytest

from provision.clouds.blazar_words import message
from provision.clouds.session import refusal

CASES = [
    (401, "The request you have made requires authentication.", True, "CredentialsRefused"),
    (401, "Authentication required", False, "PreconditionMissing"),
    (429, "Too many requests", False, "PreconditionMissing"),
    (404, "Could not find Application Credential", True, "CredentialsRefused"),
    (404, "Could not find flavor", False, "PreconditionMissing"),
    (0, "Connection refused", True, "PreconditionMissing"),
    (503, "<html>unavailable</html>", False, "PreconditionMissing"),
    (500, "Not enough hosts available", False, "LeaseUnavailable"),
    (400, "Not enough floating IPs available", False, "LeaseUnavailable"),
    (500, "Internal Server Error", False, "StepFailed"),
    (413, "VolumeSizeExceedsAvailableQuota", False, "QuotaExceeded"),
    (403, "Quota exceeded for cores: Requested 4, but already used 17 of 20 cores", False, "QuotaExceeded"),
    (403, "Reservation would spend 412.00 SUs, only 30.00 left", False, "QuotaExceeded"),
    (400, "Reservation for project CHI-1 would spend 336.00 SUs, only 30.00 left", False, "QuotaExceeded"),
    (400, "Lease can only be extended within 172800 seconds", False, "PreconditionMissing"),
    (400, "Cannot create a lease beyond Chameleon project expiration date.", False, "PreconditionMissing"),
    (409, "Quota exceeded for resources: ['port']", False, "QuotaExceeded"),
    (409, "IP address 10.31.1.11 already allocated", False, "StepFailed"),
    (403, "Policy doesn't allow this", False, "PreconditionMissing"),
    (400, "Malformed", False, "StepFailed"),
]


@pytest.mark.parametrize(("status", "text", "login", "name"), CASES, ids=lambda value: str(value)[:40])
def test_an_answer_has_its_class(status: int, text: str, login: bool, name: str) -> None:
    error = refusal("site: ask", status, text, env="rehearsal", login=login)
    assert type(error).__name__ == name
    assert text in error.why
    assert error.next


def test_blazar_s_own_words_are_shown() -> None:
    assert message('{"error_code": 500, "error_message": "Not enough hosts available"}') == "Not enough hosts available"
    assert message("<html>bad gateway</html>") == "<html>bad gateway</html>"
