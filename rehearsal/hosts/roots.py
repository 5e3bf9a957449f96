"""The hosts' file systems: one Debian tree built once, and a layer over it for the GPU machine.

Both lie in the cache by the hash of their recipe (packages, files/, the GPU stand-in's source), so a changed recipe is
built beside the old one and running hosts keep what they stand on.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from provision import say, shell
from rehearsal.hosts.recipe import ENABLED, GPU_PACKAGES, MASKED, PACKAGES, SUITE

_HERE = Path(__file__).resolve().parent
_FILES = _HERE / "files"
_STAND_IN = _HERE / "nvml_stand_in.c"
_LIBRARY = Path("usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1")
_APT_SOURCES = Path("etc/apt/sources.list.d")
_MACHINE_SOURCES = Path("/etc/apt/sources.list.d/debian.sources")
_BUILD_DEADLINE_S = 1200.0
_QUICK_DEADLINE_S = 60.0


@dataclass(frozen=True, slots=True)
class Roots:
    """The trees. A plain host stands on (base,), the GPU machine on (gpu, base): topmost first."""

    base: Path
    gpu: Path

    @property
    def plain_host(self) -> tuple[Path, ...]:
        """Lower trees of a host without a GPU."""
        return (self.base,)

    @property
    def gpu_host(self) -> tuple[Path, ...]:
        """Lower trees of the GPU machine."""
        return (self.gpu, self.base)


def ready(cache: Path) -> Roots | None:
    """The trees of today's recipe, or None if they are not built yet."""
    roots = _places(cache)
    return roots if roots.base.is_dir() and roots.gpu.is_dir() else None


def build(cache: Path) -> Roots:
    """Build what is missing (about a minute and 0.6 GB); a build that was killed leaves nothing that looks complete."""
    roots = _places(cache)
    _once(roots.base, _build_base)
    _once(roots.gpu, lambda fresh: _build_gpu(fresh, roots.base))
    return roots


def _places(cache: Path) -> Roots:
    base = _digest(SUITE, *PACKAGES, *ENABLED, *MASKED, *_contents(_FILES / "base"))
    gpu = _digest(base, *GPU_PACKAGES, _STAND_IN.read_text(), *_contents(_FILES / "gpu"))
    return Roots(cache / "roots" / base / "tree", cache / "roots" / gpu / "tree")


def _once(tree: Path, build_into: Callable[[Path], None]) -> None:
    """Build under another name, and give it its own when it is complete."""
    if tree.is_dir():
        return
    fresh = tree.parent.with_name(f".{tree.parent.name}.building")
    _forget(fresh)
    fresh.mkdir(parents=True)
    build_into(fresh)
    _forget(tree.parent)
    fresh.rename(tree.parent)


def _build_base(fresh: Path) -> None:
    tree, log = fresh / "tree", fresh / "build.log"
    say.line("hosts", "build", f"node root: Debian {SUITE}, {len(PACKAGES)} packages")
    shell.run(
        (
            "mmdebstrap",
            "--variant=minbase",
            f"--include={','.join(PACKAGES)}",
            "--dpkgopt=path-exclude=/usr/share/man/*",
            "--dpkgopt=path-exclude=/usr/share/locale/*",
            "--dpkgopt=path-exclude=/usr/share/doc/*",
            SUITE,
            tree,
            *_mirror(),
        ),
        deadline_s=_BUILD_DEADLINE_S,
        log=log,
        heartbeat="node root: mmdebstrap",
    )
    shutil.copytree(tree / _APT_SOURCES, fresh / "sources")
    _empty(tree / _APT_SOURCES)
    _add_files(tree, _FILES / "base")
    # A host's own: cloud-init makes the keys, its specification names it and its resolver.
    for mine in (*(tree / "etc/ssh").glob("ssh_host_*_key*"), tree / "etc/resolv.conf", tree / "etc/hostname"):
        mine.unlink(missing_ok=True)
    shell.run(("systemctl", f"--root={tree}", "enable", *ENABLED), deadline_s=_QUICK_DEADLINE_S, log=log)
    shell.run(("systemctl", f"--root={tree}", "mask", *MASKED), deadline_s=_QUICK_DEADLINE_S, log=log)
    _record(tree, fresh)


def _build_gpu(fresh: Path, base: Path) -> None:
    layer, log = fresh / "tree", fresh / "build.log"
    layer.mkdir()
    say.line("hosts", "build", f"GPU layer: {', '.join(GPU_PACKAGES)}, NVML stand-in")
    for name in ("", "opt/mock-driver"):
        library = layer / name / _LIBRARY
        library.parent.mkdir(parents=True, exist_ok=True)
        shell.run(
            (
                "gcc",
                "-O2",
                "-Wall",
                "-Wextra",
                "-Werror",
                "-shared",
                "-fPIC",
                f"-Wl,-soname,{library.name}",
                "-o",
                library,
                _STAND_IN,
                "-ldl",
                "-lpthread",
            ),
            deadline_s=_QUICK_DEADLINE_S,
            log=log,
        )
    with _merged(fresh, base) as tree:
        _install(tree, base.parent / "sources", log)
        _add_files(tree, _FILES / "gpu")
        shell.run(("systemctl", f"--root={tree}", "enable", "firewalld"), deadline_s=_QUICK_DEADLINE_S, log=log)
        _record(tree, fresh)
    shutil.rmtree(fresh / "work")


def _install(tree: Path, sources: Path, log: Path) -> None:
    """The layer's packages, by the tree's own apt with the sources that built the base."""
    resolver = tree / "etc/resolv.conf"
    shutil.copytree(sources, tree / _APT_SOURCES, dirs_exist_ok=True)
    shutil.copyfile("/etc/resolv.conf", resolver)
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    inside = ("unshare", "--mount", "--pid", "--fork", "--kill-child", f"--root={tree}", "--mount-proc")
    for words in (("apt-get", "update"), ("apt-get", "install", "-y", "--no-install-recommends", *GPU_PACKAGES)):
        shell.run((*inside, *words), env=quiet, deadline_s=_BUILD_DEADLINE_S, log=log, heartbeat=" ".join(words[:2]))
    _empty(tree / _APT_SOURCES)
    for waste in ("var/lib/apt/lists", "var/cache/apt"):
        _empty(tree / waste)
    resolver.unlink()


@contextmanager
def _merged(fresh: Path, base: Path) -> Iterator[Path]:
    """The layer over the base, mounted for as long as it takes."""
    point = fresh / "merged"
    for folder in (point, fresh / "work"):
        folder.mkdir()
    options = f"lowerdir={base},upperdir={fresh / 'tree'},workdir={fresh / 'work'}"
    shell.run(("mount", "-t", "overlay", "-o", options, "tandem-layer", point), deadline_s=_QUICK_DEADLINE_S)
    try:
        yield point
    finally:
        shell.run(("umount", "-l", point), deadline_s=_QUICK_DEADLINE_S)
    point.rmdir()


def _mirror() -> tuple[str, ...]:
    """The machine's own Debian sources if they are the suite's; else mmdebstrap's default."""
    if _MACHINE_SOURCES.exists() and SUITE in _MACHINE_SOURCES.read_text():
        return (str(_MACHINE_SOURCES),)
    return ()


def _record(tree: Path, fresh: Path) -> None:
    """What was really installed, by version."""
    words = ("dpkg-query", f"--admindir={tree / 'var/lib/dpkg'}", "--show", "--showformat=${Package} ${Version}\\n")
    (fresh / "packages.txt").write_text(shell.run(words, deadline_s=_QUICK_DEADLINE_S).stdout)


def _add_files(tree: Path, files: Path) -> None:
    shutil.copytree(files, tree, dirs_exist_ok=True)
    for folder, _names, _found in os.walk(files):
        (tree / Path(folder).relative_to(files)).chmod(0o755)


def _empty(folder: Path) -> None:
    for entry in folder.iterdir() if folder.is_dir() else ():
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def _forget(folder: Path) -> None:
    if os.path.ismount(folder / "merged"):
        shell.run(("umount", "-l", folder / "merged"), deadline_s=_QUICK_DEADLINE_S)
    if folder.exists():
        shutil.rmtree(folder)


def _contents(folder: Path) -> list[str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return [f"{path.relative_to(folder)}\n{path.read_text()}" for path in files]


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
