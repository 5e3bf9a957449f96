"""Every failure tandem foresees, as one tree. Each carries what, why, log and next; each class has an exit code.

PlatformError
+-- StepFailed           1   a step did not converge
+-- CheckFailed          1   a live check was red
+-- CommandFailed        1   a subprocess ended with a code nobody expected
+-- DeadlineExceeded     1   a wait ran out; `why` is the last state seen
|   +-- DeadState        1   a wait met a state from which the wanted one cannot be reached
+-- SettingsError        2   a settings file: file -> key -> what was expected
+-- UsageError           2   the command line
+-- PreconditionMissing  3   something outside must be mended first
|   +-- LeaseUnavailable 3   no slot now; `next` names the earliest
|   +-- TooEarly         3   possible later, at a known moment
|   +-- QuotaExceeded    3
|   +-- DoesNotFit       3   the applications ask for more than the nodes have
|   +-- CredentialsRefused 3 tried once, never again (repeated 401s lock an account)
|   +-- RunLocked        3   another run holds this platform
|   +-- ToolMissing      3
|   +-- NameTaken        3   our name without our tag: refused, never adopted, never deleted
+-- DriftFound           4   `plan --check`
"""

from __future__ import annotations


class PlatformError(Exception):
    """A failure with what it takes to act on it.

    what: one line, the fact. why: the last state seen. log: file:line. next: a command to paste.
    """

    exit_code = 1

    def __init__(self, what: str, *, why: str = "", log: str = "", next: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.log = log
        self.next = next

    def __str__(self) -> str:
        tails = [
            f"{name}: {text}" for name, text in (("why", self.why), ("log", self.log), ("next", self.next)) if text
        ]
        return "\n".join([self.what, *tails])


class StepFailed(PlatformError):
    """A step's second plan was not empty, or its apply gave up."""


class CheckFailed(PlatformError):
    """At least one live check was red, or nothing was checked."""


class CommandFailed(PlatformError):
    """A subprocess ended with an exit code that its caller did not name as an answer."""


class DeadlineExceeded(PlatformError):
    """A wait ran out of time."""


class DeadState(DeadlineExceeded):
    """A wait met a state from which the wanted one cannot be reached any more."""


class SettingsError(PlatformError):
    """A settings file is wrong: file -> key -> what was expected."""

    exit_code = 2


class UsageError(PlatformError):
    """The command line is wrong."""

    exit_code = 2


class PreconditionMissing(PlatformError):
    """Something outside tandem must be mended before the same command can go on."""

    exit_code = 3


class LeaseUnavailable(PreconditionMissing):
    """The testbed has no slot now."""


class TooEarly(PreconditionMissing):
    """What is asked for becomes possible at a moment that `next` names."""


class QuotaExceeded(PreconditionMissing):
    """The project's quota does not hold what is wanted."""


class DoesNotFit(PreconditionMissing):
    """The applications ask for more than the nodes, the card or the volume have."""


class CredentialsRefused(PreconditionMissing):
    """A cloud refused our credentials. Tried once: repeated failures lock an account."""


class RunLocked(PreconditionMissing):
    """Another run holds this platform."""


class ToolMissing(PreconditionMissing):
    """A program that this command needs is not on the machine."""


class NameTaken(PreconditionMissing):
    """A resource has our name but not our tag."""


class DriftFound(PlatformError):
    """`provision.plan --check` found something to do."""

    exit_code = 4
