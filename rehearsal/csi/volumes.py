"""What a volume is: a path in the store, from the class's parameters. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

TEMPLATES = {
    "${pvc.metadata.name}": "csi.storage.k8s.io/pvc/name",
    "${pvc.metadata.namespace}": "csi.storage.k8s.io/pvc/namespace",
    "${pv.metadata.name}": "csi.storage.k8s.io/pv/name",
}
REMOTE, PATH, CONFIG = "remote", "remotePath", "configData"


@dataclass(frozen=True, slots=True)
class Mount:
    """One volume where a pod wants it. source: `remote:path`. config: rclone's, secret. options: of `rclone mount`."""

    volume: str
    target: str
    source: str
    config: str
    options: tuple[str, ...]


def resolved(parameters: Mapping[str, str]) -> dict[str, str]:
    """The class's parameters with the claim's names put into the path. Raises ValueError for what is missing."""
    for name in (REMOTE, PATH):
        if not parameters.get(name):
            raise ValueError(f"StorageClass: no parameter {name}")
    path = parameters[PATH]
    for template, key in TEMPLATES.items():
        path = path.replace(template, parameters.get(key, ""))
    if "${" in path or "//" in path or ".." in path.split("/") or path.endswith("/"):
        raise ValueError(f"StorageClass: parameter {PATH} gives {path!r}")
    return {**parameters, PATH: path}


def mount(
    volume: str,
    target: str,
    context: Mapping[str, str],
    secrets: Mapping[str, str],
    flags: Iterable[str],
    *,
    readonly: bool,
) -> Mount:
    """What to mount, as the driver of the testbed would read the same request. Raises ValueError."""
    given = {**secrets, **context}
    if not given.get(CONFIG):
        raise ValueError(f"no {CONFIG}: neither in the Secret that the class names nor in its parameters")
    options = [f"--{flag}" for flag in flags] + (["--read-only"] if readonly else [])
    return Mount(volume, target, f"{given[REMOTE]}:{given[PATH]}", given[CONFIG], tuple(options))
