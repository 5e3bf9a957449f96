"""Keeps what was said with a cloud, without what is secret, in the form that tests replay.

{"METHOD URL": [{"sent", "status", "body", "headers"}, ...]}: the answers to one request in their order.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from provision.state import write_atomic

SECRET = re.compile(r"secret|password|passwd|token|private|adminpass|blob|user_data|access_key|e-?mail", re.IGNORECASE)
KEPT_HEADERS = ("content-type", "date", "openstack-api-version", "retry-after", "x-container-meta-tandem")
HIDDEN = "***"


@dataclass
class Recorder:
    """Exchanges by request, in their order."""

    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def session(self) -> requests.Session:
        """A transport that records."""
        made = requests.Session()
        for scheme in ("https://", "http://"):
            made.mount(scheme, _Recording(self))
        return made

    def add(self, request: requests.PreparedRequest, answer: requests.Response) -> None:
        """One exchange."""
        row = {
            "sent": HIDDEN if str(request.url).endswith("/auth/tokens") else scrubbed(_json(request.body)),
            "status": answer.status_code,
            "body": scrubbed(_json(answer.content)),
            "headers": {key: value for key, value in answer.headers.items() if key.lower() in KEPT_HEADERS},
        }
        self.rows.setdefault(f"{request.method} {request.url}", []).append(row)

    def write(self, path: Path) -> None:
        """All of it."""
        write_atomic(path, json.dumps(self.rows, indent=1, sort_keys=True))


class _Recording(HTTPAdapter):
    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self.recorder = recorder

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        """As ever, and remembered."""
        answer = super().send(request, *args, **options)
        self.recorder.add(request, answer)
        return answer


def renamed(text: str, platform: str, sites: Iterable[str], to: str = "case") -> str:
    """Recordings as of platform `to`, so that they replay whoever recorded them: our names, and our mark. Pure."""
    for site in sites:
        text = text.replace(f"{platform}-{site}-", f"{to}-{site}-")
    text = text.replace(f'"tandem={platform}"', f'"tandem={to}"').replace(f"tandem={platform};", f"tandem={to};")
    return re.sub(rf'("(?:tandem|X-Container-Meta-Tandem)": )"{re.escape(platform)}"', rf'\1"{to}"', text, flags=re.I)


def scrubbed(value: Any) -> Any:
    """A value in which everything that a secret's name names is hidden, and who an application credential is. Pure."""
    if isinstance(value, Mapping):
        return {key: _hidden(str(key), item) for key, item in value.items()}
    return [scrubbed(item) for item in value] if isinstance(value, list) else value


def _hidden(key: str, value: Any) -> Any:
    """`token` is also the name of an answer's whole body: what is not a leaf is looked into."""
    if key == "application_credential" and isinstance(value, Mapping):
        return dict.fromkeys(value, HIDDEN)
    leaf = not isinstance(value, Mapping | list)
    return HIDDEN if leaf and SECRET.search(key) else scrubbed(value)


def _json(content: Any) -> Any:
    """JSON, else text; None for nothing, and for what is neither."""
    if not isinstance(content, str | bytes) or not content:
        return None
    try:
        text = content.decode() if isinstance(content, bytes) else content
        return json.loads(text)
    except UnicodeDecodeError:
        return None
    except ValueError:
        return text[:2000]
