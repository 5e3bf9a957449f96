"""The only printer. Human lines go to stderr; data (`--json`) goes to stdout; every line also goes to the run's events.

Standard library only: the rehearsal imports this inside another virtual environment.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable

from provision.errors import PlatformError

_COLOURS = {"ok": "32", "fail": "31", "warn": "33", "apply": "36"}
_lock = threading.Lock()
_sinks: list[Callable[[str, str, str], None]] = []


def line(who: str, verb: str, text: str = "") -> None:
    """One human line: `lease     > apply   server rehearsal-kvm-tacc-node-1`."""
    _put(f"{who:<10}> {_paint(verb)}{' ' * max(0, 8 - len(verb))}{text}".rstrip())
    for sink in _sinks:
        sink(who, verb, text)


def detail(text: str) -> None:
    """An indented line that belongs to the one before it."""
    _put(f"            {text}")


def warn(text: str) -> None:
    """Something a person should know, though the run goes on."""
    line("tandem", "warn", text)


def failure(error: PlatformError) -> None:
    """What, why, log, next: never a traceback for something foreseen."""
    line("tandem", "fail", error.what)
    for name, text in (("why", error.why), ("log", error.log), ("next", error.next)):
        for index, part in enumerate(text.splitlines()):
            detail(f"{name + ':' if index == 0 else '':<6}{part}")


def data(value: object) -> None:
    """Machine-readable result on stdout."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")
    sys.stdout.flush()


def document(content: str) -> None:
    """A whole file on stdout, byte for byte."""
    sys.stdout.buffer.write(content.encode())
    sys.stdout.flush()


def text(block: str) -> None:
    """A block of human text (a table, a list) on stderr, as it is."""
    _put(block)


def ask(question: str) -> bool:
    """Yes or no from the terminal; the caller has made sure that there is one."""
    with _lock:
        sys.stderr.write(f"{question} [y/N] ")
        sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def has_terminal() -> bool:
    """Whether a person can be asked."""
    return sys.stdin is not None and sys.stdin.isatty()


def listen(sink: Callable[[str, str, str], None]) -> Callable[[], None]:
    """Send every line to `sink(who, verb, text)` as well; returns the way to stop."""
    _sinks.append(sink)
    return lambda: _sinks.remove(sink)


def _paint(verb: str) -> str:
    colour = _COLOURS.get(verb)
    if colour is None or "NO_COLOR" in os.environ or not sys.stderr.isatty():
        return verb
    return f"\033[{colour}m{verb}\033[0m"


def _put(block: str) -> None:
    with _lock:
        sys.stderr.write(block + "\n")
        sys.stderr.flush()
