"""The pods of a release: how big each is, how many there are, where they may run. Pure.

Sizes stand in the values, under keys that only the release's chart understands. So chart.toml names them:

    [[pods]]
    name = "serving-*"                          # `*`: once for each key found there
    resources = ["stages.*.resources"]          # paths in the values, one a container
    replicas = "stages.*.replicas"              # a path or a number; 1 unless said
    gpu_shares = "stages.*.gpu_shares"          # the same; 0
    gpu_memory_mib = "stages.*.gpu_memory_mib"  # what its framework is bounded to; the same; 0
    on = "volume"                               # the volume's node; `every`: one a node; unless said: any node
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

STAR = "*"
On = Literal["", "volume", "every"]


class PodTable(BaseModel):
    """One row of `[[pods]]`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    resources: tuple[str, ...] = Field(min_length=1)
    replicas: int | str = 1
    gpu_shares: int | str = 0
    gpu_memory_mib: int | str = 0
    on: On = ""


@dataclass(frozen=True, slots=True)
class Pod:
    """One kind of pod of an application. Sizes are of one replica, all its containers together."""

    application: str
    name: str
    cpu_millicores: int
    memory_mib: int
    replicas: int = 1
    gpu_shares: int = 0
    gpu_memory_mib: int = 0
    on: On = ""


def of(application: str, rows: Sequence[PodTable], values: Mapping[str, Any]) -> tuple[Pod, ...]:
    """The pods that the rows describe. Raises LookupError naming a path that the values do not have."""
    return tuple(_pod(application, row, key, values) for row in rows for key in _keys(row, values))


def _pod(application: str, row: PodTable, key: str, values: Mapping[str, Any]) -> Pod:
    def number(told: int | str) -> int:
        return told if isinstance(told, int) else int(at(values, told.replace(STAR, key)))

    requests = [at(values, path.replace(STAR, key))["requests"] for path in row.resources]
    return Pod(
        application,
        row.name.replace(STAR, key),
        sum(asked["cpu_millicores"] for asked in requests),
        sum(asked["memory_mib"] for asked in requests),
        number(row.replicas),
        number(row.gpu_shares),
        number(row.gpu_memory_mib),
        row.on,
    )


def _keys(row: PodTable, values: Mapping[str, Any]) -> Sequence[str]:
    """What `*` stands for; one nameless key without it."""
    starred = next((path for path in row.resources if STAR in path), "")
    if not starred:
        return ("",)
    found = at(values, starred.partition(f".{STAR}")[0])
    return tuple(found) if isinstance(found, Mapping) else tuple(map(str, range(len(found))))


def at(values: Mapping[str, Any], path: str) -> Any:
    """What lies at a dotted path; an index leads into a list."""
    found: Any = values
    for part in path.split("."):
        try:
            found = found[int(part)] if isinstance(found, list) else found[part]
        except (KeyError, TypeError, ValueError, IndexError) as missing:
            raise LookupError(f"nothing at {path!r} in the values") from missing
    return found
