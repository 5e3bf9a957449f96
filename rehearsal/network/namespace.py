"""The network namespace of a platform, and the way to run a command in it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from provision import shell
from provision.errors import UsageError

NAMESPACES = Path("/run/netns")
DEADLINE_S = 20.0
_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")


def netns(platform: str) -> str:
    """The namespace's name. Raises UsageError for a platform name that cannot be one."""
    if not _NAME.fullmatch(platform):
        raise UsageError(f"platform {platform!r}: lower-case letters, digits and dashes, at most 32")
    return f"tandem-{platform}"


def exists(platform: str) -> bool:
    """Whether the namespace is there."""
    return (NAMESPACES / netns(platform)).exists()


def inside(platform: str) -> tuple[str, ...]:
    """What to put before a command so that it runs in the namespace.

    Not `ip netns exec`: that takes a mount namespace and a /sys of its own, and what is mounted there (the hosts'
    file systems) or written there (cgroups) would not be the machine's.
    """
    return ("nsenter", f"--net={NAMESPACES / netns(platform)}", "--")


def ip(*words: str, platform: str | None = None, ok: Sequence[int] = (0,)) -> shell.Result:
    """Run ip(8), on the machine or in the platform's namespace."""
    where = () if platform is None else ("-n", netns(platform))
    return shell.run(("ip", *where, *words), deadline_s=DEADLINE_S, ok=ok)


def ip_json(*words: str, platform: str | None = None) -> list[dict[str, Any]]:
    """What ip(8) answers, as data; nothing found is an empty list (ip then answers 1, 2 or an empty text)."""
    answer = ip("-j", "-d", *words, platform=platform, ok=(0, 1, 2)).stdout.strip()
    found = json.loads(answer) if answer else []
    return [entry for entry in found if entry]  # ip prints {} for entries that a filter left out


def nft(text: str, *, platform: str | None = None) -> None:
    """Apply one nft transaction, on the machine or in the platform's namespace: all of it or nothing."""
    where = () if platform is None else inside(platform)
    shell.run((*where, "nft", "-f", "-"), stdin=text, deadline_s=DEADLINE_S)


def sysctl(platform: str | None, values: Mapping[str, int]) -> None:
    """Set kernel switches, on the machine or in the platform's namespace."""
    where = () if platform is None else inside(platform)
    words = [f"{name}={value}" for name, value in values.items()]
    shell.run((*where, "sysctl", "-q", "-w", *words), deadline_s=DEADLINE_S)
