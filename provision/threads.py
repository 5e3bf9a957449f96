"""Work side by side that Ctrl-C can end."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from provision import shell


@contextmanager
def interruptible(workers: int) -> Iterator[ThreadPoolExecutor]:
    """A pool that Ctrl-C does not have to wait for: the running commands are ended, the threads are left behind."""
    pool = ThreadPoolExecutor(max_workers=workers)
    try:
        yield pool
    except KeyboardInterrupt:
        pool.shutdown(wait=False, cancel_futures=True)
        shell.interrupt()
        raise
    pool.shutdown()
