"""Vectors that were made before, by model version and text, bounded in bytes: the one not asked for longest goes."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass

from serving.backlog import Vector

ENTRY_BYTES = 512  # key, array header, entry and their places, beside the numbers


@dataclass(frozen=True, slots=True)
class Known:
    """One text's vector, and what reading it took."""

    vector: Vector
    tokens: int
    was_cut: bool


class Keys:
    """Names texts under one model: digests, so that no text is kept."""

    def __init__(self, *model: str) -> None:
        """`model`: all that decides a vector beside the text."""
        self._start = hashlib.blake2b("\0".join((*model, "")).encode(), digest_size=32)

    def of(self, text: str) -> bytes:
        """The same for the same text, and for no other."""
        digest = self._start.copy()
        digest.update(text.encode())
        return digest.digest()


class Cache:
    """Least recently used, of one process."""

    def __init__(self, most_bytes: int) -> None:
        """0 keeps nothing."""
        self._most = most_bytes
        self._known: OrderedDict[bytes, Known] = OrderedDict()
        self._size = 0

    @property
    def size(self) -> int:
        """Bytes that are kept, as counted."""
        return self._size

    def get(self, key: bytes) -> Known | None:
        """What is known of a text, which makes it the last to go."""
        known = self._known.get(key)
        if known is not None:
            self._known.move_to_end(key)
        return known

    def put(self, key: bytes, known: Known) -> None:
        """Keep it, and let go of others until it fits."""
        size = _bytes(known)
        if size > self._most:
            return
        before = self._known.pop(key, None)
        self._size += size - (_bytes(before) if before else 0)
        self._known[key] = known
        while self._size > self._most:
            self._size -= _bytes(self._known.popitem(last=False)[1])


def _bytes(known: Known) -> int:
    return known.vector.nbytes + ENTRY_BYTES
