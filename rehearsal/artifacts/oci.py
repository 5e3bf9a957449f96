"""Images written straight into a registry's storage folder: blobs by content, repositories as small link files.

This is the file layout of the distribution registry (version 2), so nothing has to be pushed and a registry that serves
the folder read-only sees new images at once. Every file appears by rename; the tag is written last.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from rehearsal.artifacts.lock import Image
from rehearsal.artifacts.store import write_atomic

CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
EPOCH = "1970-01-01T00:00:00Z"
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Blob:
    """A layer that is in the storage. digest: `sha256:<hex>`."""

    digest: str
    size: int


@dataclass(frozen=True, slots=True)
class Storage:
    """The registry's folder."""

    root: Path

    @property
    def base(self) -> Path:
        """Where the registry itself looks."""
        return self.root / "docker" / "registry" / "v2"

    def blob_path(self, digest: str) -> Path:
        """Where a blob's bytes lie."""
        name = digest.removeprefix("sha256:")
        return self.base / "blobs" / "sha256" / name[:2] / name / "data"

    def has(self, blob: Blob) -> bool:
        """There, and as long as it should be."""
        path = self.blob_path(blob.digest)
        return path.exists() and path.stat().st_size == blob.size

    def take(self, made: Path, digest: str) -> None:
        """Move a finished file in under its digest."""
        path = self.blob_path(digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        made.rename(path)

    def put(self, data: bytes) -> Blob:
        """Store a small blob (a manifest, a configuration)."""
        blob = Blob(f"sha256:{hashlib.sha256(data).hexdigest()}", len(data))
        if not self.has(blob):
            write_atomic(self.blob_path(blob.digest), data.decode())
        return blob

    def tagged(self, path: str, tag: str) -> str:
        """The digest a tag stands for, or the empty string."""
        link = self.base / "repositories" / path / "_manifests" / "tags" / tag / "current" / "link"
        return link.read_text() if link.exists() else ""

    def publish(self, image: Image, layers: list[Blob]) -> str:
        """Write the image's configuration, manifest and links; returns the manifest's digest. Cheap to repeat."""
        config = self.put(_json(configuration(image, layers)))
        manifest = self.put(_json(manifest_of(config, layers)))
        repository = self.base / "repositories" / image.path
        for blob in (config, *layers):
            _link(repository / "_layers" / _folder(blob.digest), blob.digest)
        _link(repository / "_manifests" / "revisions" / _folder(manifest.digest), manifest.digest)
        tag = repository / "_manifests" / "tags" / image.tag
        _link(tag / "index" / _folder(manifest.digest), manifest.digest)
        _link(tag / "current", manifest.digest)
        return manifest.digest


def configuration(image: Image, layers: list[Blob]) -> dict[str, object]:
    """The image configuration. Layers are not compressed, so a layer's digest is its diff id as well."""
    env = {"PATH": DEFAULT_PATH, **image.env}
    running: dict[str, object] = {
        "Env": [f"{name}={value}" for name, value in env.items()],
        "Entrypoint": list(image.entrypoint) or None,
        "Cmd": list(image.cmd) or None,
        "User": image.user,
        "WorkingDir": image.workdir,
        "StopSignal": image.stop_signal,
    }
    return {
        "architecture": "amd64",
        "os": "linux",
        "created": EPOCH,
        "config": {name: value for name, value in running.items() if value},
        "rootfs": {"type": "layers", "diff_ids": [layer.digest for layer in layers]},
    }


def manifest_of(config: Blob, layers: list[Blob]) -> dict[str, object]:
    """The OCI manifest that ties configuration and layers together."""
    return {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": _descriptor(CONFIG_TYPE, config),
        "layers": [_descriptor(LAYER_TYPE, layer) for layer in layers],
    }


def _descriptor(kind: str, blob: Blob) -> dict[str, object]:
    return {"mediaType": kind, "digest": blob.digest, "size": blob.size}


def _folder(digest: str) -> Path:
    return Path(*digest.split(":", 1))


def _link(folder: Path, digest: str) -> None:
    link = folder / "link"
    if not link.exists() or link.read_text() != digest:
        write_atomic(link, digest)


def _json(value: dict[str, object]) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()
