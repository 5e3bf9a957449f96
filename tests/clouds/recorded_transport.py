"""A transport that answers from recordings of real OpenStack services; what was not recorded is an error.

recorded/<site>.json: "METHOD URL" -> status, body, headers. Taken from the rehearsal's clouds with a platform standing.
What was recorded later bears the first recording's user, project and credential. What `doctor --live` keeps has a list
of answers a request: played one after the other, the last one again and again.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import requests
from requests.adapters import BaseAdapter

from provision.clouds.openstack import OpenStackCloud
from provision.settings import Settings

RECORDED = Path(__file__).parent / "recorded"
HOSTS = {"kvm-tacc": "10.30.0.10", "chi-uc": "10.30.0.20"}
"""Where the recorded services were."""
Answer = dict[str, Any]


class Recorded(BaseAdapter):
    """Plays recordings; `replies` come first: "METHOD path-end" -> an answer, or an exception to raise."""

    def __init__(self, rows: Mapping[str, Answer | list[Answer]]) -> None:
        super().__init__()
        self.rows = rows
        self.played: Counter[str] = Counter()
        self.replies: dict[str, Answer | Exception] = {}
        self.asked: list[str] = []
        self.sent: list[Any] = []

    def send(self, request: requests.PreparedRequest, *_args: object, **_options: object) -> requests.Response:
        """One answer."""
        key = f"{request.method} {request.url}"
        self.asked.append(key)
        self.sent.append(json.loads(request.body) if isinstance(request.body, str | bytes) else None)
        found = self._reply(key)
        if isinstance(found, Exception):
            raise found
        if found is None:
            raise AssertionError(f"not recorded: {key}")
        answer = requests.Response()
        answer.status_code = found["status"]
        answer._content = b"" if found["body"] is None else json.dumps(found["body"]).encode()
        answer.headers.update({"Content-Type": "application/json", "X-Subject-Token": "t", **found.get("headers", {})})
        answer.request, answer.url = request, str(request.url)
        return answer

    def close(self) -> None:
        """Nothing is open."""

    def _reply(self, key: str) -> Answer | Exception | None:
        method, _, url = key.partition(" ")
        for wanted, reply in self.replies.items():
            verb, _, end = wanted.partition(" ")
            if verb == method and url.endswith(end):
                return reply
        row = self.rows.get(key)
        if not isinstance(row, list):
            return row
        self.played[key] += 1
        return row[min(self.played[key], len(row)) - 1]


def cloud_of(
    settings: Settings,
    site: str,
    folder: Path,
    change: Callable[[dict[str, Answer]], None] | None = None,
    *,
    secret: str = "s",
) -> tuple[OpenStackCloud, Recorded]:
    """A site's cloud over its recordings. change: alters a copy of them first. secret: the credential's."""
    rows = recorded(settings, site)
    if change:
        change(rows)
    adapter = Recorded(rows)
    transport = transport_of(adapter)
    at_home = settings.model_copy(update={"clouds_file": str(clouds_file(settings, folder, secret))})
    return OpenStackCloud(at_home, site, transport), adapter


def recorded(settings: Settings, site: str) -> dict[str, Answer]:
    """A site's recordings, at the addresses that the settings know: the services are the same at both."""
    text = (RECORDED / f"{site}.json").read_text()
    return dict(json.loads(text.replace(f"http://{HOSTS[site]}:", f"{_base(settings, site)}:")))


def transport_of(adapter: Recorded) -> requests.Session:
    """A transport that only plays."""
    transport = requests.Session()
    for scheme in ("http://", "https://"):
        transport.mount(scheme, adapter)
    return transport


def clouds_file(settings: Settings, folder: Path, secret: str = "s") -> Path:
    """A clouds.yaml of both sites; returns its path."""
    path = folder / "clouds.yaml"
    auth = {"application_credential_id": "i", "application_credential_secret": secret}
    entries = {
        name: {
            "auth_type": "v3applicationcredential",
            "auth": {"auth_url": f"{_base(settings, name)}:5000/v3", **auth},
            "region_name": site.region,
        }
        for name, site in settings.sites.items()
    }
    path.write_text(json.dumps({"clouds": entries}))
    return path


def _base(settings: Settings, site: str) -> str:
    """Scheme and host of a site's services."""
    return settings.sites[site].auth_url.removesuffix(":5000/v3") or f"http://{HOSTS[site]}"
