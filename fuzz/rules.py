"""The one place that says what a service may answer to whatever it is sent, and when it counts as hanging.

Nothing but what its client did wrong (4xx), or:
- 504 past a deadline: the client's own, or the stage's for a client that stays silent in the midst of its body;
- 503 while the process starts or drains, and at no other time.
schemathesis.toml beside this file says the same to schemathesis, which asks while the process serves only.
"""

from __future__ import annotations

from typing import Literal

Phase = Literal["starting", "serving", "draining"]
DEADLINE_PASSED, UNAVAILABLE = 504, 503
SERVER_ERRORS: dict[Phase, frozenset[int]] = {
    "starting": frozenset({UNAVAILABLE}),
    "serving": frozenset({DEADLINE_PASSED}),
    "draining": frozenset({UNAVAILABLE, DEADLINE_PASSED}),
}
LEAST_CASES = 2_000  # of each of the two; fewer say nothing
REQUEST_S = 5.0  # the stage's own time for a request, while it is fuzzed
HANG_S = 30.0  # to the answer or the end of the connection: above what a stage gives a request, and a head
START_S = 60.0


def is_allowed(status: int, phase: Phase) -> bool:
    """Of an answer."""
    return status < 500 or status in SERVER_ERRORS[phase]
