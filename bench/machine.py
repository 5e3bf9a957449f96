"""What this machine is, as figures are read by it: no name, no path."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8")


@dataclass(frozen=True, slots=True)
class Machine:
    """load: of the last minute, before the run began. It includes whatever else the machine does."""

    processor: str
    cores: int
    flags: tuple[str, ...]
    memory_gib: float
    kernel: str
    python: str
    niceness: int
    load: float


def describe() -> Machine:
    """Now."""
    about = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    fields = dict(_pair(line) for line in reversed(about.splitlines()) if ":" in line)
    return Machine(
        processor=fields.get("model name", platform.machine()),
        cores=os.cpu_count() or 1,
        flags=tuple(flag for flag in FLAGS if flag in fields.get("flags", "").split()),
        memory_gib=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        kernel=platform.release(),
        python=platform.python_version(),
        niceness=os.nice(0),
        load=round(os.getloadavg()[0], 2),
    )


def _pair(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.strip(), value.strip()
