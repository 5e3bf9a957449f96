"""Keeps a set of forked services alive: a dead one is started again after a growing pause, and the log says so."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import time
import traceback
from collections.abc import Callable, Sequence

from rehearsal.clouds.layout import Tree

LOG = logging.getLogger(__name__)
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
STEADY_S = 60.0
"""A service that lived this long has earned the short pause again, and its deaths are counted anew."""
GRACE_S = 10.0
_WATCHED = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT)
_PR_SET_PDEATHSIG = 1


class Supervisor:
    """One tree's services. `serve(tree, service)` runs in the child and is not expected to return."""

    def __init__(self, tree: Tree, services: Sequence[str], serve: Callable[[Tree, str], None]) -> None:
        self.tree = tree
        self.serve = serve
        self.due = dict.fromkeys(services, 0.0)
        self.pause_s = dict.fromkeys(services, FIRST_PAUSE_S)
        self.deaths = dict.fromkeys(services, 0)
        self.running: dict[int, tuple[str, float]] = {}

    def run(self) -> None:
        """Start everything and watch it until SIGTERM or SIGINT; then stop everything."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
        while True:
            self._start_due()
            news = signal.sigtimedwait(_WATCHED, self._idle_s())
            if news is not None and news.si_signo != signal.SIGCHLD:
                break
            self._reap()
        self._stop()

    def _idle_s(self) -> float:
        return max(0.0, min(self.due.values(), default=time.monotonic() + LONGEST_PAUSE_S) - time.monotonic())

    def _start_due(self) -> None:
        now = time.monotonic()
        for service in [name for name, when in self.due.items() if when <= now]:
            del self.due[service]
            self.tree.ready_file(service).unlink(missing_ok=True)
            pid = os.fork()
            if pid == 0:
                self._become(service)
            self.running[pid] = (service, now)
            LOG.info("%s started, pid %d", service, pid)

    def _become(self, service: str) -> None:
        """The child's whole life. A service that fails must not linger on its RPC threads, hence _exit."""
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        out = os.open(self.tree.file("log", service + ".out"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(out, 1)
        os.dup2(out, 2)
        try:
            self.serve(self.tree, service)
        finally:
            traceback.print_exc()
            os._exit(1)

    def _reap(self) -> None:
        while self.running:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            if pid not in self.running:
                continue
            service, started = self.running.pop(pid)
            now = time.monotonic()
            steady = now - started >= STEADY_S
            pause_s = FIRST_PAUSE_S if steady else self.pause_s[service]
            self.pause_s[service] = min(LONGEST_PAUSE_S, pause_s * 2)
            self.due[service] = now + pause_s
            self.deaths[service] = 1 if steady else self.deaths[service] + 1
            self.tree.deaths_file(service).write_text(str(self.deaths[service]))
            self.tree.ready_file(service).unlink(missing_ok=True)
            LOG.warning("%s (pid %d) died: %s; again in %.0f s", service, pid, _ending(status), pause_s)

    def _stop(self) -> None:
        """SIGTERM to all, SIGKILL to those that are still there after the grace."""
        for number, grace_s in ((signal.SIGTERM, GRACE_S), (signal.SIGKILL, GRACE_S)):
            for pid in self.running:
                os.kill(pid, number)
            deadline = time.monotonic() + grace_s
            while self.running and time.monotonic() < deadline:
                signal.sigtimedwait((signal.SIGCHLD,), max(0.0, deadline - time.monotonic()))
                self._bury()
        LOG.info("all services stopped")

    def _bury(self) -> None:
        while self.running:
            pid, _status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            service, _started = self.running.pop(pid, ("", 0.0))
            self.tree.ready_file(service).unlink(missing_ok=True)


def _ending(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
