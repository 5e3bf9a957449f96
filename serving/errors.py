"""What can go wrong in the service, as classes.

ServingError
├── ConfigInvalid    an environment variable is wrong; the process exits 2
├── ModelInvalid     the model folder is not what its manifest says; readyz stays 503 with this reason
│   └── GoldenMismatch   the model answers other vectors than the recorded ones
├── ProviderMissing  the required execution provider is not there and a CPU is not allowed
├── TextInvalid      a tokenized text that no model of this vocabulary can read
├── SourceUnavailable  nobody can say now which model to serve; what serves goes on
├── TrackingFailed   MLflow does not answer
│   └── TrackingRefused  or answers that it will not, or that there is no such thing
├── GateFailed       an export does not agree with the reference; nothing is to be published
└── Refused          one request is not served; the client is told why (see problems)
    ├── RequestInvalid       the body is not what was expected
    │   └── DimensionsFixed  shorter vectors were asked for, which no model here was trained to give
    ├── MediaUnsupported     the body is said to be something else than JSON
    ├── TooLarge             a limit of the stage is exceeded
    │   └── BodyTooLarge     by a body that was not read to its end
    ├── ModelUnknown         another model is asked for than the one that serves
    ├── QueueFull            too much waits; the client is told when to come back
    ├── NotReady             no model is loaded, or not yet
    ├── Draining             the process stops
    ├── DeadlinePassed       the client's time is over
    └── ClientGone           nobody is there any more to be told anything
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class ServingError(Exception):
    """Base of all errors of this package; the message is one sentence for people."""


class ConfigInvalid(ServingError):
    """An environment variable is missing or wrong."""


class ModelInvalid(ServingError):
    """A file of the model folder is missing, changed or of an unknown format."""


class GoldenMismatch(ModelInvalid):
    """A recorded vector is not reproduced."""


class ProviderMissing(ServingError):
    """ONNX Runtime did not give the execution provider this stage requires."""


class TextInvalid(ServingError):
    """A tokenized text that no model of this vocabulary can read."""


class SourceUnavailable(ServingError):
    """Nobody can say at the moment which model is to be served."""


class TrackingFailed(ServingError):
    """MLflow cannot be reached, or fails; the same request may succeed later."""


class TrackingRefused(TrackingFailed):
    """MLflow answered, and not with what was asked for. code: its error code, e.g. RESOURCE_DOES_NOT_EXIST."""

    def __init__(self, what: str, code: str) -> None:
        super().__init__(what)
        self.code = code


class GateFailed(ServingError):
    """The exported graph disagrees with the fp64 reference."""


class Refused(ServingError):
    """One request is not served; the service is well."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a request. at: where, as keys and positions joined by dots."""

    at: str
    problem: str


class RequestInvalid(Refused):
    """The body or a header is not what was expected."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        first = faults[0]
        others = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        super().__init__(f"{first.at}: {first.problem}{others}")
        self.faults = tuple(faults)


class DimensionsFixed(RequestInvalid):
    """The length of the vectors cannot be chosen."""


class MediaUnsupported(Refused):
    """The content type of the body is not JSON."""


class TooLarge(Refused):
    """A limit of the stage is exceeded; the message says which."""


class BodyTooLarge(TooLarge):
    """The body is longer than the stage reads."""


class ModelUnknown(Refused):
    """No model of that name serves here."""


class QueueFull(Refused):
    """More waits than can be answered in time. retry_after_s: when the same request would be taken, as estimated."""

    def __init__(self, why: str, retry_after_s: int) -> None:
        super().__init__(why)
        self.retry_after_s = retry_after_s


class NotReady(Refused):
    """No model is loaded; the message says why."""


class Draining(Refused):
    """The process was told to stop and takes no more work."""


class DeadlinePassed(Refused):
    """The time the client gave, or the stage's own limit, is over."""


class ClientGone(Refused):
    """The client closed its connection before its answer was ready."""
