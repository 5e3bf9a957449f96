"""What can go wrong in the service, as classes.

ServingError
├── ConfigInvalid    an environment variable is wrong; the process exits 2
├── ModelInvalid     the model folder is not what its manifest says; readyz stays 503 with this reason
│   └── GoldenMismatch   the model answers other vectors than the recorded ones
├── ProviderMissing  the required execution provider is not there and a CPU is not allowed
├── QueueFull        too many tokens wait; the client is told when to come back
├── Closed           the scheduler no longer takes work
├── TextInvalid      a text has no token, or one that the model does not know
└── GateFailed       an export does not agree with the reference; nothing is to be published
"""

from __future__ import annotations


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


class QueueFull(ServingError):
    """The bound on queued tokens is reached."""


class Closed(ServingError):
    """The scheduler has been closed."""


class TextInvalid(ServingError):
    """A tokenized text that no model of this vocabulary can read."""


class GateFailed(ServingError):
    """The exported graph disagrees with the fp64 reference."""
