"""Reads a PDF in a process of its own, and says in words what became of it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence

from pipelines.ingest.config import Config
from pipelines.ingest.errors import Refused
from pipelines.ingest.pdf import Text

Run = Callable[..., "subprocess.CompletedProcess[bytes]"]
MOST_REASON = 200  # characters of what a dying reader said


def read(data: bytes, config: Config, run: Run = subprocess.run) -> Text:
    """The text of one document. Raises Refused."""
    limits = (config.pdf_pages, config.pdf_seconds, config.pdf_memory_mib)
    try:
        ended = run(argv(limits), input=data, capture_output=True, timeout=2 * config.pdf_seconds, check=False)
    except subprocess.TimeoutExpired as late:
        raise Refused(f"not read within {late.timeout:.0f} s") from late
    if ended.returncode:
        raise Refused(death(ended.returncode, ended.stderr.decode(errors="replace"), config))
    told = json.loads(ended.stdout)
    if "refused" in told:
        raise Refused(told["refused"])
    return Text(told["pages"], told["text"])


def argv(limits: Sequence[int]) -> list[str]:
    """The reader's command line."""
    return [sys.executable, "-m", "pipelines.ingest.pdf", *map(str, limits)]


def death(code: int, stderr: str, config: Config) -> str:
    """Why a reader ended without an answer."""
    words = (stderr.strip().splitlines() or [f"exit code {code}"])[-1][:MOST_REASON]
    if code == -signal.SIGXCPU:
        return f"takes more than {config.pdf_seconds} s to read"
    if code == -signal.SIGKILL or words.startswith("MemoryError"):
        return f"takes more than {config.pdf_memory_mib} MiB to read"
    return f"cannot be read: {words}"
