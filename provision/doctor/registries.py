"""Image registries as they answer from here: reachable, and how many images Docker Hub still gives."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from provision.doctor.finding import Finding
from provision.doctor.machine import ENOUGH_PULLS, HUB, HUB_API, HUB_PROBE, Fetch, fetch
from provision.settings import Settings


def registries(settings: Settings, ask: Fetch = fetch) -> Iterator[Finding]:
    """Every upstream, unless a mirror answers for all of them."""
    if settings.registry.mirror:
        yield Finding("registries", True, f"{settings.registry.mirror} answers for all of them")
        return
    for upstream in settings.registry.upstreams:
        yield reachable(upstream, ask)
    if HUB in settings.registry.upstreams:
        yield pulls(settings, ask)


def reachable(upstream: str, ask: Fetch) -> Finding:
    """A registry answers /v2/ with 200, or 401 before a login."""
    url = HUB_API if upstream == HUB else f"https://{upstream}/v2/"
    what = f"registry {upstream}"
    try:
        status, _, _ = ask(url, {})
    except OSError as error:
        return Finding(what, False, str(error), f"curl -sSI {url}")
    return Finding(what, status in (200, 401), f"HTTP {status}", f"curl -sSI {url}")


def pulls(settings: Settings, ask: Fetch) -> Finding:
    """Docker Hub's limit for an address without an account. Nodes ask from their own addresses, each with its own."""
    what = f"pulls from {HUB}"
    login = f"write user, password and host of an account into {settings.config_dir / 'registry.json'}"
    try:
        left = _left(ask)
    except (OSError, ValueError, KeyError) as error:
        return Finding(what, False, f"the limit is not told: {error}", login)
    if left is None:
        return Finding(what, True, "no limit for this address")
    told = f"{left} left for this address without an account; {ENOUGH_PULLS} wanted"
    return Finding(what, left >= ENOUGH_PULLS, told, login)


def _left(ask: Fetch) -> int | None:
    """What the headers of a manifest say; None without a limit."""
    _, headers, _ = ask(HUB_API, {})
    challenge = dict(re.findall(r'(\w+)="([^"]*)"', headers["www-authenticate"]))
    scope = f"repository:{HUB_PROBE}:pull"
    _, _, body = ask(f"{challenge['realm']}?service={challenge['service']}&scope={scope}", {})
    token = json.loads(body)["token"]
    _, told, _ = ask(f"{HUB_API}{HUB_PROBE}/manifests/latest", {"Authorization": f"Bearer {token}"})
    remaining = told.get("ratelimit-remaining", "")
    return int(remaining.partition(";")[0]) if remaining else None
