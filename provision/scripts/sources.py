"""Runs on a host, by its own interpreter: reads every file once for its sum, and asks for every image's manifest."""

from __future__ import annotations

import hashlib
import json
import re
import sys
import urllib.error
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from typing import Any

KINDS = (
    "oci.image.index.v1+json",
    "oci.image.manifest.v1+json",
    "docker.distribution.manifest.list.v2+json",
    "docker.distribution.manifest.v2+json",
)
ACCEPT = ", ".join(f"application/vnd.{kind}" for kind in KINDS)
asked = json.load(sys.stdin)


def fetch(url: str, headers: dict[str, str] | None = None) -> Any:
    """An open answer."""
    return urllib.request.urlopen(urllib.request.Request(url, headers=headers or {}), timeout=30)


def digest(url: str) -> str:
    """sha256 of a file, or `error: ...`."""
    found = hashlib.sha256()
    try:
        with fetch(url) as answer:
            for block in iter(lambda: answer.read(1 << 20), b""):
                found.update(block)
    except (OSError, HTTPException) as error:
        return f"error: {url}: {error}"
    return found.hexdigest()


def token(challenge: str) -> str:
    """What an anonymous client is given by a registry that asks for a bearer token."""
    words = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    query = urllib.parse.urlencode({key: words[key] for key in ("service", "scope") if key in words})
    with fetch(f"{words['realm']}?{query}") as answer:
        told = json.load(answer)
    return str(told.get("token") or told["access_token"])


def manifest(url: str) -> str:
    """'' when the registry has it; otherwise what it said."""
    headers = {"Accept": ACCEPT}
    if asked["auth"]:
        headers["Authorization"] = f"Basic {asked['auth']}"
    try:
        try:
            fetch(url, headers).close()
        except urllib.error.HTTPError as refused:
            challenge = refused.headers.get("WWW-Authenticate", "")
            if refused.code != 401 or not challenge.startswith("Bearer "):
                raise
            fetch(url, {**headers, "Authorization": f"Bearer {token(challenge)}"}).close()
    except (OSError, HTTPException, KeyError, ValueError) as error:
        return f"{url}: {error}"
    return ""


sums = ""
if asked["sums"]:
    with fetch(asked["sums"]) as listed:
        sums = listed.read().decode()
with ThreadPoolExecutor(max_workers=4) as pool:
    files = dict(pool.map(lambda item: (item[0], digest(item[1])), asked["files"].items()))
    images = dict(pool.map(lambda item: (item[0], manifest(item[1])), asked["images"].items()))
json.dump({"sums": sums, "files": files, "images": images}, sys.stdout)
