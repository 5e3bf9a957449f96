"""What artifacts.lock.toml says, as frozen models; a wrong key is a SettingsError. Reads files, starts nothing.

A *key* is a hash over every input of one artifact. Same key, same bytes: the cache is asked by key and nothing else.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from provision.errors import SettingsError
from rehearsal.artifacts.layers import NOISE

LOCK = Path(__file__).with_name("artifacts.lock.toml")
FILES = Path(__file__).with_name("files")
CPUINFO = Path("/proc/cpuinfo")
UNRESOLVED = "unresolved"
RECIPE = 2  # raise when layer or image writing changes its output for the same inputs


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Go(_Model):
    """version: what the pins were built with; part of every key. minimum: what the machine's go must be."""

    version: str
    minimum: str


class Command(_Model):
    """One binary. url, member, sha256: the vendor's file (or the archive that holds it) and its published sum.

    sums: where the vendor publishes it.
    """

    name: str
    package: str
    url: str = ""
    member: str = ""
    sums: str = ""
    sha256: str = Field(default=UNRESOLVED, pattern=r"^([0-9a-f]{64}|unresolved)$")

    @property
    def is_pinned(self) -> bool:
        """Whether the vendor's file can be checked, and so may be used."""
        return bool(self.url) and self.sha256 != UNRESOLVED


class Module(_Model):
    """One Go module and what is built from it. Modules of one `batch` share a build cache, dropped after the batch.

    patch: path in the module -> a file of ours that the published module lacks.
    """

    name: str
    path: str
    version: str = Field(pattern=r"^v\d+\.\d+\.\d+$")
    sum: str = Field(pattern=r"^h1:")
    commands: tuple[Command, ...] = ()
    batch: str = ""
    staging: str = ""
    ldflags: tuple[str, ...] = ()
    cgo: bool = False
    tags: tuple[str, ...] = ()
    patch: dict[str, str] = {}


class Served(_Model):
    """One file on the file server: a binary, several as one .tgz, or the file `member` of a Go module."""

    path: str
    commands: tuple[str, ...] = ()
    module: str = ""
    member: str = ""


class Layer(_Model):
    """One named layer. keep, drop: globs on paths without a leading slash; pattern: see `sources`. users: name -> uid.

    append: text put after a file. applets: a busybox whose applets get links. compile: a folder of Python to compile.
    args: of an export's module. measured: it records what this processor computes, so another one makes another.
    """

    name: str
    kind: Literal["debian", "pip", "export", "tree"]
    suite: str = ""
    packages: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    links: dict[str, str] = {}
    users: dict[str, int] = {}
    append: dict[str, str] = {}
    applets: str = ""
    compile: str = ""
    requirements: str = ""
    module: str = ""
    args: tuple[str, ...] = ()
    measured: bool = False
    source: str = ""
    pattern: tuple[str, ...] = ()
    into: str = ""


class Image(_Model):
    """One image: its named layers, then one of its own (binaries, files, folders as `mode:uid`), then how it starts."""

    ref: str = Field(pattern=r"^[a-z0-9.]+/[a-z0-9./-]+:[\w.-]+$")
    layers: tuple[str, ...] = ()
    binaries: dict[str, str] = {}
    files: dict[str, str] = {}
    folders: dict[str, str] = {}
    env: dict[str, str] = {}
    user: str = ""
    workdir: str = ""
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    stop_signal: str = ""

    @property
    def path(self) -> str:
        """The repository in our registry: the name without its host."""
        return self.ref.rsplit(":", 1)[0].split("/", 1)[1]

    @property
    def tag(self) -> str:
        """What follows the colon."""
        return self.ref.rsplit(":", 1)[1]


class Lock(_Model):
    """The whole file."""

    go: Go
    module: tuple[Module, ...]
    file: tuple[Served, ...]
    layer: tuple[Layer, ...]
    image: tuple[Image, ...]

    @property
    def commands(self) -> dict[str, tuple[Module, Command]]:
        """Every binary by name."""
        return {command.name: (module, command) for module in self.module for command in module.commands}

    @property
    def modules(self) -> dict[str, Module]:
        """Every Go module by its name here."""
        return {module.name: module for module in self.module}

    @property
    def layers(self) -> dict[str, Layer]:
        """Every named layer by name."""
        return {layer.name: layer for layer in self.layer}

    def command_key(self, name: str) -> str:
        """Twelve hex digits over all that decides a binary: module, h1 hash, Go version, flags, package."""
        module, command = self.commands[name]
        unused = {field for field in ("tags", "patch") if not getattr(module, field)}
        inputs = module.model_dump(exclude={"commands", "batch", "name", *unused})
        patches = [file_hash(FILES / file) for file in module.patch.values()]
        return digest_of([inputs, self.go.version, command.package, *patches])

    def layer_key(self, name: str, root: Path) -> str:
        """The same over a layer; `root` is the checkout whose files it names."""
        layer = self.layers[name]
        texts = [file_hash(root / layer.requirements)] if layer.requirements else []
        if layer.source:
            texts += [
                f"{path}:{file_hash(root / layer.source / path)}"
                for path in sources(root / layer.source, layer.pattern)
            ]
        unused = {field for field in ("args", "measured") if not getattr(layer, field)}
        texts += [f"processor:{extensions()}"] if layer.measured else []
        return digest_of([RECIPE, NOISE if layer.kind == "debian" else (), layer.model_dump(exclude=unused), texts])

    def key(self, root: Path) -> str:
        """The same over everything: binaries, layers, images, served files."""
        commands = [self.command_key(name) for name in self.commands]
        layers = [self.layer_key(layer.name, root) for layer in self.layer]
        images = [(image.model_dump(), self.own_layer_key(image)) for image in self.image]
        return digest_of([commands, layers, images, [served.model_dump() for served in self.file]])

    def own_layer_key(self, image: Image) -> str:
        """The same over an image's own layer."""
        binaries = sorted((place, self.command_key(name)) for name, place in image.binaries.items())
        files = sorted((place, file_hash(FILES / name)) for place, name in image.files.items())
        return digest_of([RECIPE, binaries, files, sorted(image.folders.items())])


def sources(folder: Path, pattern: Iterable[str]) -> list[str]:
    """The files a layer takes from the checkout, relative and sorted; by default every *.py.

    A glob with a slash is of that place (`./a.py`, `part/*.py`), one without of any place below."""
    globs = tuple(pattern) or ("*.py",)
    found = {path for glob in globs for path in (folder.glob(glob) if "/" in glob else folder.rglob(glob))}
    return sorted(str(path.relative_to(folder)) for path in found if path.is_file())


def extensions(about: Path = CPUINFO) -> str:
    """The processor's vector instructions, by which runtimes choose how they compute and so the last bits of it."""
    flags = re.search(r"^flags\s*:(.*)$", about.read_text(encoding="utf-8"), re.MULTILINE)
    return " ".join(sorted(re.findall(r"\b(?:fma|avx\w*|amx\w*)\b", flags[1]))) if flags else ""


def file_hash(path: Path) -> str:
    """sha256 of a file, hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest_of(inputs: object) -> str:
    """Twelve hex digits over plain data."""
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:12]


def load(path: Path = LOCK) -> Lock:
    """The lock, checked: known keys, and every name that is referred to exists."""
    return parse(path.read_text(), path.name)


def parse(text: str, name: str = LOCK.name) -> Lock:
    """The lock from its text; `name` only names it in errors."""
    try:
        lock = Lock.model_validate(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise SettingsError(f"{name}: not a lock", why=str(error), next=f"edit rehearsal/artifacts/{name}") from error
    missing = sorted(_referred(lock) - set(lock.commands) - set(lock.layers) - set(lock.modules))
    if missing:
        raise SettingsError(
            f"{name}: names nobody defines", why=", ".join(missing), next=f"edit rehearsal/artifacts/{name}"
        )
    return lock


def _referred(lock: Lock) -> set[str]:
    images = {name for image in lock.image for name in (*image.layers, *image.binaries)}
    served = {name for file in lock.file for name in (*file.commands, file.module) if name}
    return images | served
