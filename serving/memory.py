"""Memory that nothing uses any more: how often it is looked for, and that it is given back to the system."""

from __future__ import annotations

import ctypes
import gc
import threading

YOUNG = 20_000  # objects more than were freed, before the newest are looked through: a few MiB

_ONE = threading.Lock()  # a collection that meets another one does nothing


def settle() -> None:
    """Called once all is imported and nothing is served: what is here by now stays, and is never looked through again.

    Requests free what they held without that, as long as they make no circles; looking through all of it after every
    few of them, as Python does by itself, costs a seventh of their time on the event loop.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, *gc.get_threshold()[1:])


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
