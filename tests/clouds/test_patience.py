"""What a cloud that is busy says, and what is asked again: over recorded answers, with a cloud's own doors."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from provision.clouds import patience
from provision.errors import PreconditionMissing
from provision.settings import load
from tests.clouds.recorded_transport import Recorded, cloud_of

pytestmark = pytest.mark.filterwarnings("ignore::openstack.warnings._RemovedInSDKWarning")

DETAIL = "http://10.30.0.10:8774/v2.1/servers/detail"
BUSY = {"status": 429, "body": {"overLimit": {"message": "slow down"}}, "headers": {"Retry-After": "7"}}


@pytest.fixture
def paused(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    seconds: list[float] = []
    monkeypatch.setattr(patience, "pause", lambda _why, wait: seconds.append(wait))
    return seconds


def busy(times: int, answer: dict[str, Any]) -> Any:
    """A change of the recordings: the list of servers comes after so many refusals."""

    def change(rows: dict[str, Any]) -> None:
        rows[DETAIL_KEY] = [answer] * times + [rows[DETAIL_KEY]]

    return change


DETAIL_KEY = f"GET {DETAIL}"


@pytest.mark.parametrize("status", [429, 503])
def test_a_cloud_that_says_when_to_come_back_is_asked_again_then(
    status: int, paused: list[float], tmp_path: Path
) -> None:
    cloud, _ = cloud_of(load("rehearsal", platform="case"), "kvm-tacc", tmp_path, busy(2, {**BUSY, "status": status}))
    assert cloud.count_servers() == 3
    assert paused == [7.0, 7.0]


def test_it_is_given_up_after_a_few_times(paused: list[float], tmp_path: Path) -> None:
    cloud, _ = cloud_of(load("rehearsal", platform="case"), "kvm-tacc", tmp_path, busy(9, BUSY))
    with pytest.raises(PreconditionMissing) as caught:
        cloud.count_servers()
    assert "asked too often" in caught.value.what
    assert len(paused) == patience.TRIES - 1


@pytest.mark.parametrize(
    ("status", "headers"),
    [(503, {}), (429, {"Retry-After": "3600"}), (500, {"Retry-After": "1"}), (413, {"Retry-After": "0"})],
    ids=["names no time", "too long", "another error", "cinder's quota"],
)
def test_nothing_else_is_repeated(status: int, headers: dict[str, str], paused: list[float], tmp_path: Path) -> None:
    refused = {"status": status, "body": None, "headers": headers}
    cloud, transport = cloud_of(load("rehearsal", platform="case"), "kvm-tacc", tmp_path, busy(1, refused))
    with pytest.raises(Exception, match="list servers"):
        cloud.count_servers()
    assert paused == []
    assert len([key for key in transport.asked if key == DETAIL_KEY]) == 1


def test_what_may_have_been_done_is_not_sent_again(paused: list[float]) -> None:
    played = Recorded({"POST http://a/": [{**BUSY, "status": 503}, {"status": 201, "body": {}}]})
    session = requests.Session()
    session.mount("http://", played)
    assert patience.patient(session).post("http://a/", json={}).status_code == 503
    played.rows = {"POST http://b/": [BUSY, {"status": 201, "body": {}}]}
    assert session.post("http://b/", json={}).status_code == 201
    assert paused == [7.0]


def test_a_time_may_be_a_date_or_missing() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert 28 <= (patience.wait_s("GET", 503, later) or 0) <= 30
    assert patience.wait_s("POST", 429, "") == patience.wait_s("POST", 429, "soon") == patience.USUAL_S
