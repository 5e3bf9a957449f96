"""What every task is made of: its options, its help, and the one place that catches and exits."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from invoke import Exit

from provision import say
from provision.errors import PlatformError

COMMON = {
    "env": "environment: rehearsal (default) or chameleon",
    "site": "one site: kvm-tacc or chi-uc (default: both)",
    "platform": "the platform's name (required for chameleon)",
    "yes": "ask nothing",
    "json": "data on stdout",
}

BACKEND = {"backend": "another home for the GPU tier: h100-kvm, usual (default: what the platform was built with)"}


def help(*names: str, **more: str) -> dict[str, str]:
    """Help for the common options named, and for more of a task's own."""
    return {**{name: COMMON[name] for name in names}, **more}


def options(env: str, site: str, platform: str, yes: bool, json: bool, backend: str = "") -> Any:
    """The common options as the commands take them; imported late, so that `invoke --list` stays quick."""
    from provision.commands import Options

    return Options(env=env, site=site, platform=platform, yes=yes, json=json, backend=backend)


def finish(call: Callable[[], dict[str, object]], json: bool) -> None:
    """Run one command; exit codes 0 1 2 3 4 130, never a traceback for something foreseen."""
    try:
        result = call()
    except PlatformError as error:
        say.failure(error)
        if json:
            say.data(
                {"ok": False, "exit_code": error.exit_code, "what": error.what, "why": error.why, "next": error.next}
            )
        raise Exit(code=error.exit_code) from None
    except KeyboardInterrupt:
        say.line("tandem", "fail", "interrupted; the same command goes on from here")
        # Not Exit: the interpreter would first join the threads of the walk, and those may be waiting for minutes.
        os._exit(130)
    if json:
        say.data(result)
    code = result.get("exit_code", 0)
    if isinstance(code, int) and code:
        raise Exit(code=code)
