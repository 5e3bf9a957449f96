"""What can go wrong, as classes.

IngestError          exit code 1: the step may be tried again
├── ConfigInvalid    exit code 2: a variable or an argument is wrong, so trying again is pointless
├── Incomplete       the parts of a report are not those of its plan
├── StageError       the stage's answer is not what was asked for
│   └── StageAway    it did not answer within the bounded number of attempts
└── Refused          one document cannot be ingested; it is reported, and the rest goes on
"""

from __future__ import annotations


class IngestError(Exception):
    """Base of all errors of this package; the message is one sentence for people."""

    exit_code = 1


class ConfigInvalid(IngestError):
    """The environment or the command line is wrong."""

    exit_code = 2


class Incomplete(IngestError):
    """A batch was lost, or came twice."""


class StageError(IngestError):
    """The stage refused, or answered something that is no embedding of what was sent."""


class StageAway(StageError):
    """No connection, or too busy, to the end."""


class Refused(IngestError):
    """A document that cannot be ingested; the message is the reason."""
