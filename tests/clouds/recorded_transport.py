"""A transport that answers from recordings of real OpenStack services; what was not recorded is an error.

recorded/<site>.json: "METHOD URL" -> status, body, headers. Taken from the rehearsal's clouds with a platform standing.
What `doctor --live` keeps has a list of answers a request: played one after the other, the last one again and again.
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
    rows: dict[str, Answer] = json.loads((RECORDED / f"{site}.json").read_text())
    if change:
        change(rows)
    adapter = Recorded(rows)
    transport = requests.Session()
    transport.mount("http://", adapter)
    at_home = settings.model_copy(update={"clouds_file": str(_clouds_file(settings, folder, secret))})
    return OpenStackCloud(at_home, site, transport), adapter


def _clouds_file(settings: Settings, folder: Path, secret: str) -> Path:
    path = folder / "clouds.yaml"
    hosts = {"kvm-tacc": "10.30.0.10", "chi-uc": "10.30.0.20"}
    auth = {"application_credential_id": "i", "application_credential_secret": secret}
    entries = {
        name: {
            "auth_type": "v3applicationcredential",
            "auth": {"auth_url": f"http://{hosts[name]}:5000/v3", **auth},
            "region_name": site.region,
        }
        for name, site in settings.sites.items()
    }
    path.write_text(json.dumps({"clouds": entries}))
    return path
