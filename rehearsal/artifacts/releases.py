"""Release files that only Kubespray asks for, byte for byte as their vendors publish them, by Kubespray's own sums.

crictl and nerdctl cannot be built from Go modules, so none of them is built: each comes from its vendor or lies, put
there by hand, in the cache under `releases/<its URL without https://>`. Without a checkout nobody is asked.
"""

from __future__ import annotations

import os
from pathlib import Path

from provision import checkout, say, shell
from provision.checkout import File
from provision.errors import CommandFailed, DeadlineExceeded
from rehearsal.artifacts import vendor
from rehearsal.artifacts.lock import Lock
from rehearsal.artifacts.store import Store, write_atomic

FOLDER = "releases"
SUMS = "SHA256SUMS"


def wanted(lock: Lock) -> tuple[File, ...]:
    """What Kubespray fetches and the lock does not make."""
    made = {served.path for served in lock.file}
    return tuple(file for file in checkout.lock().files if file.path not in made)


def place(cache: Path, file: File) -> Path:
    """Where a release file lies, or may be put by hand."""
    return cache / FOLDER / file.path


def missing(lock: Lock, cache: Path) -> dict[str, str]:
    """Name -> place of each that is not there."""
    return {file.name: str(place(cache, file)) for file in wanted(lock) if not place(cache, file).is_file()}


def fetch(lock: Lock, store: Store) -> None:
    """Ask the vendors for what is missing, if there is a checkout to use it. What cannot be had is only said."""
    absent = [file for file in wanted(lock) if not place(store.root, file).is_file()]
    if not absent or checkout.missing():
        return
    if not vendor.is_reachable(f"https://{absent[0].path}"):
        say.line("artifacts", "vendor", f"not reachable: no release of {', '.join(file.name for file in absent)}")
        return
    for file in absent:
        _fetch_one(store, file)


def serve(lock: Lock, store: Store, folder: Path) -> None:
    """Lay what is there beside the served files, and into their list of sums. A file with another sum is an error."""
    lines = (line.partition("  ") for line in (folder / SUMS).read_text().splitlines())
    sums = {path: digest for digest, _, path in lines}
    for file in wanted(lock):
        have, target = place(store.root, file), folder / file.path
        if not have.is_file() or sums.get(file.path) == file.sha256:
            continue
        vendor.check(have, file.sha256, str(have))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        os.link(have, target)
        sums[file.path] = file.sha256
    write_atomic(folder / SUMS, "".join(f"{digest}  {path}\n" for path, digest in sums.items()))


def state(lock: Lock, cache: Path) -> str:
    """What `ensure` must have seen to be current: which are there, and whether anybody could use them."""
    if checkout.missing():
        return ""
    return " ".join(file.name for file in wanted(lock) if place(cache, file).is_file()) + " with a checkout"


def _fetch_one(store: Store, file: File) -> None:
    part, url = store.scratch("release") / "file", f"https://{file.path}"
    words: list[str | Path] = ["curl", "-fsSL", "--connect-timeout", str(vendor.PROBE_S), "-o", part, url]
    try:
        shell.run(words, deadline_s=vendor.DOWNLOAD_S, heartbeat=f"fetching {url}")
    except (CommandFailed, DeadlineExceeded) as failed:
        say.warn(f"{url}: {failed.why.splitlines()[-1] if failed.why else failed.what}")
        return
    vendor.check(part, file.sha256, url)
    target = place(store.root, file)
    target.parent.mkdir(parents=True, exist_ok=True)
    part.rename(target)
    say.line("artifacts", "vendor", f"{file.name} {file.version} {target.stat().st_size / 1e6:.0f} MB")
