"""Fill unresolved checksums of the lock from the vendors' own lists. Needs the internet; changes only that file."""

from __future__ import annotations

import re
from pathlib import Path

from provision import say, shell
from provision.errors import CommandFailed, DeadlineExceeded
from rehearsal.artifacts import lock
from rehearsal.artifacts.lock import UNRESOLVED
from rehearsal.artifacts.store import write_atomic

FETCH_S = 20


def fill(path: Path = lock.LOCK) -> tuple[str, ...]:
    """Ask each vendor once; returns the URLs that are pinned now. What cannot be had stays unresolved and is named."""
    text, pinned = path.read_text(), []
    for _, command in lock.parse(text).commands.values():
        if command.sha256 != UNRESOLVED or not command.sums:
            continue
        try:
            answer = shell.run(["curl", "-fsSL", "--max-time", str(FETCH_S), command.sums], deadline_s=FETCH_S + 5)
        except (CommandFailed, DeadlineExceeded) as failed:
            say.warn(f"{command.url}: still unresolved ({failed.what})")
            continue
        found = find(answer.stdout, command.url.rsplit("/", 1)[1])
        if found:
            text = replace(text, command.url, found)
            pinned.append(command.url)
    write_atomic(path, text)
    return tuple(pinned)


def find(sums: str, file: str) -> str:
    """The checksum of a file in a vendor's list: `<hex>` alone, or `<hex>  <file>`. Empty when it is not there."""
    lines = [line.split() for line in sums.splitlines() if line.strip()]
    named = [words[0] for words in lines if len(words) == 1 or words[1].lstrip("*").rsplit("/", 1)[-1] == file]
    hexes = [word for word in named if re.fullmatch(r"[0-9a-f]{64}", word)]
    return hexes[0] if len(hexes) == 1 else ""


def replace(text: str, url: str, checksum: str) -> str:
    """The lock's text with the checksum of every command that comes from `url`."""
    lines = [
        line.replace(f'sha256 = "{UNRESOLVED}"', f'sha256 = "{checksum}"') if f'url = "{url}"' in line else line
        for line in text.splitlines(keepends=True)
    ]
    return "".join(lines)
