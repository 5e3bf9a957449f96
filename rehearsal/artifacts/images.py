"""Every image of the lock, in the registry's storage: a layer is made once per key, an image is a few files over it."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from provision import say
from rehearsal.artifacts import debian, disk, layers, python
from rehearsal.artifacts.layers import Entry
from rehearsal.artifacts.lock import FILES, Image, Lock
from rehearsal.artifacts.oci import Blob, Storage
from rehearsal.artifacts.store import Row, Store, write_atomic

Entries = Callable[[Path], Iterable[Entry]]  # given a scratch folder
MADE = {"debian": "debian", "pip": "pip", "export": "pip", "tree": "checkout"}


def resolve(lock: Lock, store: Store, root: Path, log_dir: Path) -> tuple[Row, ...]:
    """All of them; what is there already costs a few stats. `root`: the checkout whose serving code goes in."""
    maker = Maker(lock, store, storage(store), root, log_dir)
    disk.require(store.root, disk.IMAGES_GIB, "to assemble images")
    return tuple(maker.image(image) for image in lock.image)


def storage(store: Store) -> Storage:
    """The registry's folder, shared by all platforms of this machine."""
    return Storage(store.root / "registry")


@dataclass(frozen=True, slots=True)
class Made:
    """A layer of the cache. seconds: what it cost when it was made; fresh: whether that was now."""

    digest: str
    size: int
    seconds: float
    fresh: bool = False

    @property
    def blob(self) -> Blob:
        """The part the registry knows."""
        return Blob(self.digest, self.size)


@dataclass(frozen=True, slots=True)
class Maker:
    """What making a layer needs. root: the checkout."""

    lock: Lock
    store: Store
    storage: Storage
    root: Path
    log_dir: Path

    def image(self, image: Image) -> Row:
        """All layers of an image, then its manifest and tag."""
        made = [self.named(name) for name in image.layers] + ([self.own(image)] if _has_own(image) else [])
        digest = self.storage.publish(image, [each.blob for each in made])
        fresh = [each for each in made if each.fresh]
        kinds = sorted(
            {MADE[self.lock.layers[name].kind] for name in image.layers} | ({"binary"} if image.binaries else set())
        )
        row = Row(
            "image",
            image.ref.rsplit(":", 1)[0],
            image.tag,
            "built" if fresh else "cache",
            "+".join(kinds),
            digest.removeprefix("sha256:"),
            round(sum(each.seconds for each in fresh), 1),
            round(sum(each.size for each in made) / 1e6, 1),
        )
        if fresh:
            say.line("artifacts", "image", f"{image.ref} {row.mb:.0f} MB {row.seconds:.0f} s")
        return row

    def named(self, name: str) -> Made:
        """A layer of the lock."""
        layer = self.lock.layers[name]
        log = self.log_dir / f"layer-{name}.log"

        def entries(scratch: Path) -> Iterable[Entry]:
            tree = scratch / "tree"
            tree.mkdir()
            if layer.kind == "debian":
                return debian.entries(layer, tree, log)
            if layer.kind == "pip":
                return python.packages(layer, self.root, tree, log)
            if layer.kind == "export":
                return python.export(layer, self.root, tree, scratch, log)
            return python.code(layer, self.root, tree, log)

        return self._made(name, self.lock.layer_key(name, self.root), entries)

    def own(self, image: Image) -> Made:
        """What only this image has: binaries, files and folders."""

        def entries(_scratch: Path) -> Iterable[Entry]:
            for name, place in image.binaries.items():
                yield Entry(place, 0o755, source=self.store.binary(self.lock, name))
            for place, name in image.files.items():
                yield Entry(place, 0o755, source=FILES / name)
            for place, spec in image.folders.items():
                mode, owner = spec.split(":")
                yield Entry(place, int(mode, 8), int(owner), int(owner))

        return self._made(image.path.replace("/", "-"), self.lock.own_layer_key(image), entries)

    def _made(self, name: str, key: str, entries: Entries) -> Made:
        record = self.store.root / "layers" / f"{name}-{key}.json"
        if record.exists():
            made = Made(**json.loads(record.read_text()))
            if self.storage.has(made.blob):
                return made
        started = time.monotonic()
        scratch = self.store.scratch(f"layer-{name}")
        digest, size = layers.pack(entries(scratch), scratch / "layer.tar")
        self.storage.take(scratch / "layer.tar", digest)
        made = Made(digest, size, round(time.monotonic() - started, 1))
        write_atomic(record, json.dumps({name: value for name, value in asdict(made).items() if name != "fresh"}))
        shutil.rmtree(scratch)
        return Made(made.digest, made.size, made.seconds, fresh=True)


def _has_own(image: Image) -> bool:
    return bool(image.binaries or image.files or image.folders)
