"""What was said with a cloud, kept for replay: nothing secret in it, and it plays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import requests

from provision.clouds import recorder
from provision.clouds.recorder import HIDDEN, Recorder
from provision.settings import load
from tests.clouds.recorded_transport import Recorded, cloud_of

pytestmark = pytest.mark.filterwarnings("ignore::openstack.warnings._RemovedInSDKWarning")


def said(recorded: Recorder, method: str, url: str, sent: Any, body: Any, status: int = 200, **headers: str) -> None:
    answer = requests.Response()
    answer.status_code, answer._content = status, json.dumps(body).encode()
    answer.headers.update(headers)
    recorded.add(requests.Request(method, url, data=json.dumps(sent)).prepare(), answer)


def test_names_of_secrets_hide_their_values_at_any_depth() -> None:
    told = {"server": {"adminPass": "p", "name": "n", "user_data": "u"}, "keys": [{"private_key": "k", "id": 1}]}
    assert recorder.scrubbed(told) == {
        "server": {"adminPass": HIDDEN, "name": "n", "user_data": HIDDEN}, "keys": [{"private_key": HIDDEN, "id": 1}],
    }  # fmt: skip


def test_a_login_is_kept_without_who_logged_in(tmp_path: Path) -> None:
    recorded = Recorder()
    credential = {"id": "cred-id", "secret": "cred-secret"}
    token = {"token": {"application_credential": {**credential, "restricted": False}, "catalog": [{"name": "nova"}]}}
    said(
        recorded, "POST", "http://a:5000/v3/auth/tokens", {"auth": credential}, token, 201, **{"X-Subject-Token": "tok"}
    )
    recorded.write(tmp_path / "exchange.json")
    text = (tmp_path / "exchange.json").read_text()
    assert [word for word in ("cred-id", "cred-secret", 'tok"') if word in text] == []
    assert "nova" in text
    assert (tmp_path / "exchange.json").stat().st_mode & 0o777 == 0o600


def test_answers_to_one_request_keep_their_order_and_play_again(tmp_path: Path) -> None:
    recorded = Recorder()
    url = "http://10.30.0.10:1234/v1/leases"
    lease = {"id": "l", "name": "case-kvm-tacc-lease", "end_date": "2026-12-24T00:00:00", "reservations": []}
    for status in ("PENDING", "ACTIVE"):
        said(recorded, "GET", url, None, {"leases": [{**lease, "status": status}]})
    recorded.write(tmp_path / "exchange.json")
    rows = json.loads((tmp_path / "exchange.json").read_text())
    cloud, transport = cloud_of(load("rehearsal", platform="case"), "kvm-tacc", tmp_path)
    transport.rows = {**transport.rows, **rows}
    assert [cloud.leases.list_leases()[0].status for _ in range(3)] == ["PENDING", "ACTIVE", "ACTIVE"]


def test_a_recording_transport_asks_and_remembers(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = Recorder()
    played = Recorded({"GET http://a/": {"status": 200, "body": {"x": 1}}})
    monkeypatch.setattr("requests.adapters.HTTPAdapter.send", lambda _self, request, **_options: played.send(request))
    assert recorded.session().get("http://a/").json() == {"x": 1}
    assert recorded.rows["GET http://a/"][0]["body"] == {"x": 1}


def test_what_is_no_json_is_kept_as_text_and_what_is_no_text_is_not() -> None:
    recorded = Recorder()
    for content in (b"<html>bad gateway</html>", b"\xff\xfe", b""):
        answer = requests.Response()
        answer.status_code, answer._content = 502, content
        recorded.add(requests.Request("GET", "http://a/").prepare(), answer)
    assert [row["body"] for row in recorded.rows["GET http://a/"]] == ["<html>bad gateway</html>", None, None]
