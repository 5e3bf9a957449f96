"""Whose is it: names, tags and marks. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from provision.errors import NameTaken

KEY = "tandem"


@dataclass(frozen=True, slots=True)
class Owner:
    """A platform at a site. Anything of ours is called `<platform>-<site>-...` and marked with the platform."""

    platform: str
    site: str

    @property
    def prefix(self) -> str:
        """How every name of ours here begins."""
        return f"{self.platform}-{self.site}-"

    @property
    def tag(self) -> str:
        """neutron's tag; also the description that a thing is born with, so that no moment is without a mark."""
        return f"{KEY}={self.platform}"

    @property
    def metadata(self) -> dict[str, str]:
        """nova's and cinder's metadata."""
        return {KEY: self.platform}

    def owns_tagged(self, kind: str, name: str, tags: Sequence[str], description: str) -> bool:
        """Whether it is ours. Raises NameTaken for our name without our mark."""
        return self._owns(kind, name, self.tag in tags or description == self.tag)

    def owns_metadata(self, kind: str, name: str, metadata: Mapping[str, str]) -> bool:
        """The same for what carries metadata."""
        return self._owns(kind, name, metadata.get(KEY) == self.platform)

    def _owns(self, kind: str, name: str, marked: bool) -> bool:
        if not name.startswith(self.prefix):
            return False
        if not marked:
            raise NameTaken(
                f"{self.site}: {kind} {name} is not ours",
                why=f"it has our name but not the mark {self.tag}",
                next=f"rename or delete that {kind}, or choose another platform name",
            )
        return True
