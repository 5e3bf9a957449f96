"""What can go wrong, as classes.

IngestError          exit code 1: the step may be tried again
├── ConfigInvalid    exit code 2: a variable or an argument is wrong, so trying again is pointless
├── DatabaseAway     PostgreSQL is not there, or went away
├── StoreError       S3 is not there, or refused
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


class DatabaseAway(IngestError):
    """No connection to PostgreSQL, or not any more."""


class StoreError(IngestError):
    """S3 did not do what it was asked for."""


class Incomplete(IngestError):
    """A batch was lost, or came twice."""


class StageError(IngestError):
    """The stage refused, or answered something that is no embedding of what was sent."""


class StageAway(StageError):
    """No connection, or too busy, to the end."""


class Refused(IngestError):
    """A document that cannot be ingested; the message is the reason."""
