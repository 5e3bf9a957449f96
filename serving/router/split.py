"""Which requests the canary gets, model by model: a share by a hash of the request's id, 0 once it did badly.

A version gets its share when it was looked at once and found well. A share that was taken comes back by itself when
the canary serves another version, and not before.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from serving.router.metrics import Metrics
from serving.router.watch import Breach

MODELS = {"/v1/embeddings": "embedder", "/embed": "embedder", "/summarize": "summarizer"}  # what may go to a canary


@dataclass(slots=True)
class Standing:
    """One model at the canary.

    version: what it serves, '' while it is not ready. trusted: the version that was found well. tripped: the one that
    lost its share.
    """

    version: str = ""
    trusted: str = ""
    tripped: str = ""
    breach: Breach | None = None


class Split:
    """The shares of now."""

    def __init__(self, share: float, metrics: Metrics) -> None:
        self._share, self._metrics = share, metrics
        self.standing = {model: Standing() for model in dict.fromkeys(MODELS.values())}
        for model in self.standing:
            self._tell(model)

    def share(self, model: str) -> float:
        """0 while the canary is not ready, or its version not known to be well."""
        now = self.standing[model]
        return self._share if now.version and now.version == now.trusted else 0.0

    def takes(self, model: str, request: str) -> bool:
        """Whether the canary gets this request; the same id always goes the same way under the same share."""
        return spot(request) < self.share(model)

    def serves(self, model: str, version: str) -> bool:
        """What the canary serves now, '' for nothing; returns whether that is another version than before."""
        now = self.standing[model]
        is_other = bool(version) and version != now.version
        now.version = version
        if version and version != now.tripped:
            now.tripped, now.breach = "", None
        self._tell(model)
        return is_other

    def judges(self, model: str) -> bool:
        """Whether the version is one to be judged: it may have a share, and has not lost it."""
        now = self.standing[model]
        return self._share > 0 and bool(now.version) and now.version != now.tripped

    def trust(self, model: str) -> None:
        """The version is well: it gets its share."""
        now = self.standing[model]
        now.trusted = now.version
        self._tell(model)

    def trip(self, model: str, breach: Breach) -> None:
        """Take the share away."""
        now = self.standing[model]
        now.trusted, now.tripped, now.breach = "", now.version, breach
        self._metrics.rolled_back(breach.reason)
        self._tell(model)

    def _tell(self, model: str) -> None:
        self._metrics.share(model, self.share(model))


def spot(request: str) -> float:
    """Where an id falls in [0, 1)."""
    return int.from_bytes(hashlib.sha256(request.encode()).digest()[:6]) / 2**48
