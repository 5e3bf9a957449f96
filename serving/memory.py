"""Memory that nothing uses any more, given back to the system."""

from __future__ import annotations

import ctypes
import gc
import threading

_ONE = threading.Lock()  # a collection that meets another one does nothing


def give_back() -> None:
    """After something large was let go of; blocks for some hundredths of a second.

    What refers to itself in a circle is freed by a collection only, and a model is too few objects for one to come by
    itself. What is freed stays with glibc, piece by piece, until it is asked: a process that changes its model often
    would grow with every change.
    """
    with _ONE:
        gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's alone
    if trim is not None:
        trim(0)
