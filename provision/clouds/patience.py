"""A transport that waits when a cloud says when to come back, and asks again. Nothing else is ever repeated.

429: nothing was done, so any request may be sent again. 503 with Retry-After: only what changes nothing, since a proxy
may say so after the service has worked.
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import requests
from requests.adapters import BaseAdapter

from provision.wait import pause

TRIES = 4
LONGEST_S = 60.0
"""A cloud that wants us gone for longer is told of, not waited for."""
USUAL_S = 10.0
"""After a 429 that names no time."""
READING = frozenset({"GET", "HEAD", "OPTIONS"})


class Patient(BaseAdapter):
    """Around another adapter."""

    def __init__(self, inner: BaseAdapter) -> None:
        super().__init__()
        self.inner = inner

    def send(self, request: requests.PreparedRequest, *args: object, **options: object) -> requests.Response:
        """The answer, or the last of the refusals."""
        answer = self.inner.send(request, *args, **options)  # type: ignore[arg-type]
        for _ in range(TRIES - 1):
            seconds = wait_s(request.method or "", answer.status_code, answer.headers.get("Retry-After", ""))
            if seconds is None or seconds > LONGEST_S or not isinstance(request.body, str | bytes | None):
                break
            _ = answer.content  # drained, so that the connection can be used again
            pause(f"HTTP {answer.status_code} from {answer.url}", seconds)
            answer = self.inner.send(request, *args, **options)  # type: ignore[arg-type]
        return answer

    def close(self) -> None:
        """The inner one's connections."""
        self.inner.close()


def patient(session: requests.Session) -> requests.Session:
    """The same session, with patience."""
    for prefix, adapter in list(session.adapters.items()):
        if not isinstance(adapter, Patient):
            session.mount(prefix, Patient(adapter))
    return session


def wait_s(method: str, status: int, retry_after: str) -> float | None:
    """How long to wait before the same request again; None: never. retry_after: seconds or a date. Pure but for now."""
    if status == 429:
        return _seconds(retry_after) if retry_after else USUAL_S
    if status == 503 and retry_after and method in READING:
        return _seconds(retry_after)
    return None


def _seconds(retry_after: str) -> float:
    if retry_after.strip().isdigit():
        return float(retry_after)
    try:
        return max(0.0, (parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return USUAL_S
