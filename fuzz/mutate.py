"""Requests as bytes, from good ones that are spoilt here and there. Seeded: the same number makes the same bytes."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

PATHS = ("/embed", "/v1/embeddings", "/summarize")
OTHERS = ("/v1/models", "/livez", "/readyz", "/startupz", "/metrics", "/openapi.json", "/nowhere", "*", "//", "/%00")
METHODS = ("GET", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE", "CONNECT", "BREW", "")
BODIES: dict[str, Sequence[object]] = {
    "/embed": ({"texts": ["a text", "another one"]}, {"texts": [""]}),
    "/v1/embeddings": (
        {"input": ["a", "b"], "model": "embedder", "encoding_format": "base64"},
        {"input": "a", "model": "embedder", "user": "u", "dimensions": None},
    ),
    "/summarize": ({"texts": ["One sentence. Another one."], "max_length": 6, "min_length": 2}, {"texts": ["a"]}),
}
STEERED: dict[str, Sequence[str]] = {
    "content-type": ("application/json; charset=utf-16", "text/html", ";", "application/json,application/json"),
    "content-length": ("0", "-1", "+5", "99999999999999999999", "5, 5", "0x10"),
    "transfer-encoding": ("chunked", "gzip, chunked", "chunked, identity", "\x0bchunked"),
    "x-request-timeout-ms": ("1", "0", "-5", "600000", "600001", "1e3", "٣", "9" * 400),
    "x-priority": ("bulk", "interactive", "BULK", ""),
    "x-request-id": ("a" * 5000, ""),
    "expect": ("100-continue", "200-ok"),
    "connection": ("close", "keep-alive, upgrade", "Upgrade, HTTP2-Settings"),
    "upgrade": ("h2c", "websocket"),
    "host": ("", "a b", "[::1"),
    "accept-encoding": ("gzip;q=NaN",),
    "cookie": ("=" * 3000,),
    "range": ("bytes=0-0,-1",),
}
FRAGMENTS = (
    *(b"null", b"1e999", b"-0", b"NaN", b"true", b"{", b"}", b",", b'"' * 3, b"9" * 400, b'"dimensions":1'),
    *(b'"\\ud83d"', b'"\\u0000"', b"\xff\xfe", b"\xef\xbb\xbf", b"\x00", b"\xed\xa0\x80", b"[" * 1500, b'{"a":' * 300),
)
SPOILT = 0.2  # of the requests in their head's bytes too
HEADERED = 0.06  # a header is set to one of its odd values


@dataclass(frozen=True, slots=True)
class Case:
    """One connection's worth. pieces: written one after the other; leaves: the client goes without waiting."""

    pieces: tuple[bytes, ...]
    leaves: bool


def case(seed: int, number: int) -> Case:
    """The same for the same two numbers."""
    chance = random.Random(f"{seed}.{number}")
    path = chance.choice(PATHS)
    body = spoil(chance, json.dumps(chance.choice(BODIES[path]), ensure_ascii=False).encode(), 6)
    sent = _framed(chance, path, body)
    if chance.random() < SPOILT:
        sent = spoil(chance, sent, 3)
    if chance.random() < 0.1:
        sent *= 2  # two at once, the second before the first is answered
    if chance.random() < 0.15:
        sent = sent[: chance.randint(1, len(sent))]
    cut = chance.randint(0, len(sent)) if chance.random() < 0.5 else 0
    return Case(tuple(piece for piece in (sent[:cut], sent[cut:]) if piece), chance.random() < 0.05)


def spoil(chance: random.Random, text: bytes, most: int) -> bytes:
    """Up to so many changes: something put in, cut out, or another byte."""
    found = bytearray(text)
    for _ in range(chance.randint(0, most)):
        at = chance.randint(0, len(found))
        chance.choice(CHANGES)(chance, found, at)
    return bytes(found)


def _framed(chance: random.Random, path: str, body: bytes) -> bytes:
    """A head around a body, right in most cases."""
    method = "POST"
    if chance.random() < 0.1:
        path, method = chance.choice(OTHERS), chance.choice(("POST", *METHODS))
    headers = {"host": "stage", "content-type": "application/json"}
    if chance.random() < 0.15:
        headers["transfer-encoding"], body = "chunked", _chunked(chance, body)
    else:
        headers["content-length"] = str(len(body))
    headers |= {name: _odd(chance, name) for name in STEERED if chance.random() < HEADERED}
    lines = [f"{method} {path} HTTP/1.{chance.choice('1111110')}", *(f"{name}: {headers[name]}" for name in headers)]
    return "\r\n".join([*lines, "", ""]).encode() + body


def _odd(chance: random.Random, name: str) -> str:
    if chance.random() < 0.3:
        return "".join(chr(chance.randint(1, 255)) for _ in range(chance.randint(0, 12)))
    return chance.choice(STEERED[name])


def _chunked(chance: random.Random, body: bytes) -> bytes:
    cut = chance.randint(0, len(body))
    parts = [part for part in (body[:cut], body[cut:]) if part]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def _put_in(chance: random.Random, text: bytearray, at: int) -> None:
    text[at:at] = chance.choice(FRAGMENTS)


def _cut_out(chance: random.Random, text: bytearray, at: int) -> None:
    del text[at : at + chance.randint(1, 8)]


def _another(chance: random.Random, text: bytearray, at: int) -> None:
    text[at : at + 1] = bytes([chance.randint(0, 255)])


CHANGES: tuple[Callable[[random.Random, bytearray, int], None], ...] = (_put_in, _cut_out, _another)
