"""What stands before every service's application: injected answers, a catalogue without a service, locked accounts.

Only what no option of the services can do. keystone's own lockout counts passwords; Chameleon's users come with
application credentials, so those are counted here.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any

from rehearsal.clouds.config.identity import LOCKED_AFTER
from rehearsal.clouds.layout import Tree
from rehearsal.clouds.services import faults
from rehearsal.clouds.services.faults import Answer, Faults

Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]
Read = Callable[[], Faults]
LOCKED = {"error": {"code": 401, "message": "Account is disabled", "title": "Unauthorized"}}
TOKENS = "/v3/auth/tokens"


def around(tree: Tree, service: str, application: Application) -> Application:
    """A service's application as Chameleon's users meet it."""

    def read() -> Faults:
        return faults.read(tree)

    if service == "keystone":
        application = locking(without_hidden(application, read), read)
    return answering(service, application, read)


def answering(service: str, application: Application, read: Read) -> Application:
    """Injected answers first; each as often as it says."""
    given: Counter[Answer] = Counter()

    def answer(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        method, path = environ.get("REQUEST_METHOD", ""), environ.get("PATH_INFO", "")
        for one in read().answers:
            if one.fits(service, method, path) and (not one.times or given[one] < one.times):
                given[one] += 1
                return _say(start_response, one.status, one.body, one.headers)
        return application(environ, start_response)

    return answer


def locking(application: Application, read: Read) -> Application:
    """Whoever is refused too often is refused for good, whatever they show; an account that logs in is forgiven."""
    refused: Counter[str] = Counter()

    def watch(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        who = _who(environ) if _is_login(environ) else ""
        if who and (read().locked or refused[who] >= LOCKED_AFTER):
            return _say(start_response, "401 Unauthorized", json.dumps(LOCKED))

        def note(status: str, *rest: Any) -> Any:
            if who:
                refused[who] = refused[who] + 1 if status[:3] in ("401", "404") else 0
            return start_response(status, *rest)

        return application(environ, note)

    return watch


def without_hidden(application: Application, read: Read) -> Application:
    """A token's catalogue without the services that are hidden."""

    def trim(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        hidden = read().hidden if _is_login(environ) else ()
        if not hidden:
            return application(environ, start_response)
        told: list[Any] = []
        body = b"".join(application(environ, lambda *words: told.extend(words)))
        status, headers = told[0], told[1]
        if status.startswith("201"):
            body = trimmed(body, hidden)
            headers = [pair for pair in headers if pair[0].lower() != "content-length"]
            headers.append(("Content-Length", str(len(body))))
        start_response(status, headers)
        return [body]

    return trim


def trimmed(body: bytes, hidden: Iterable[str]) -> bytes:
    """The same token without those types in its catalogue. Pure."""
    told = json.loads(body)
    catalogue = told["token"].get("catalog", [])
    told["token"]["catalog"] = [entry for entry in catalogue if entry["type"] not in set(hidden)]
    return json.dumps(told).encode()


def _is_login(environ: Environ) -> bool:
    return environ.get("REQUEST_METHOD") == "POST" and environ.get("PATH_INFO", "").endswith(TOKENS)


def _who(environ: Environ) -> str:
    """The id of the application credential that a login shows; '' for any other login. The body can be read again."""
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = BytesIO(body)
    try:
        shown = json.loads(body)["auth"]["identity"]["application_credential"]
        return str(shown.get("id") or shown.get("name") or "")
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""


def _say(
    start_response: Callable[..., Any], status: str, body: str, headers: Iterable[tuple[str, str]] = ()
) -> Iterable[bytes]:
    data = body.encode()
    kind = "application/json" if body.startswith("{") else "text/html; charset=UTF-8"
    start_response(status, [("Content-Type", kind), ("Content-Length", str(len(data))), *headers])
    return [data]
