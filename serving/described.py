"""What every served model says of itself, whatever it computes."""

from __future__ import annotations

from typing import Protocol


class Named(Protocol):
    """A model's manifest, as far as all have one."""

    @property
    def name(self) -> str:
        """As a request may name it."""
        ...

    @property
    def version(self) -> str:
        """Of this name."""
        ...

    @property
    def precision(self) -> str:
        """Of its weights."""
        ...

    @property
    def max_tokens(self) -> int:
        """Of one text; what lies beyond is cut."""
        ...


class Described(Protocol):
    """A loaded model."""

    @property
    def manifest(self) -> Named:
        """What its folder says."""
        ...

    @property
    def provider(self) -> str:
        """What really runs it."""
        ...

    @property
    def degraded(self) -> bool:
        """Whether that is a CPU although the stage requires something else."""
        ...


def about(model: Described) -> dict[str, str]:
    """The headers that say what gave an answer."""
    headers = {
        "x-model-name": model.manifest.name,
        "x-model-version": model.manifest.version,
        "x-model-precision": model.manifest.precision,
        "x-provider": model.provider,
    }
    return headers | ({"x-degraded": "true"} if model.degraded else {})
