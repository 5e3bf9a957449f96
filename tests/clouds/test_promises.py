"""The promises of the clouds' APIs over recordings, with the settings of both environments."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, tzinfo
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Self

import pytest

from provision.clouds import prospect
from provision.clouds.recorder import renamed
from provision.settings import load
from tests.clouds.recorded_transport import RECORDED, cloud_of
from verify.contract import promises
from verify.contract.promises import PROMISES, Promise

pytestmark = pytest.mark.filterwarnings("ignore::openstack.warnings._RemovedInSDKWarning")


@pytest.mark.parametrize("env", ["rehearsal", "chameleon"])
@pytest.mark.parametrize("site", ["kvm-tacc", "chi-uc"])
@pytest.mark.parametrize("promise", PROMISES, ids=promises.name_of)
def test_a_promise_is_kept_as_recorded(
    promise: Promise, site: str, env: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud, transport = cloud_of(load(env, platform="case"), site, tmp_path)
    monkeypatch.setattr(prospect, "datetime", stopped(transport.rows))
    promise(cloud)


def stopped(rows: Mapping[str, Any]) -> type[datetime]:
    """A clock that shows when the site was asked for its own."""
    told = next(row["headers"]["Date"] for key, row in rows.items() if key.endswith(":5000/v3/"))

    class Stopped(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return cls.fromtimestamp(parsedate_to_datetime(told).timestamp(), tz)

    return Stopped


def test_recordings_replay_whoever_recorded_them() -> None:
    text = json.dumps(
        {
            "GET http://a/?prefix=vision-chi-uc-": {"headers": {"X-Container-Meta-Tandem": "vision"}},
            "x": {"name": "vision-chi-uc-gpu-1", "metadata": {"tandem": "vision"}, "tags": ["tandem=vision"]},
        }
    )
    told = renamed(text, "vision", ["kvm-tacc", "chi-uc"])
    assert "vision" not in told
    assert json.loads(told)["x"] == {
        "name": "case-chi-uc-gpu-1",
        "metadata": {"tandem": "case"},
        "tags": ["tandem=case"],
    }


@pytest.mark.parametrize("file", sorted(RECORDED.glob("*.json")), ids=lambda file: file.stem)
def test_no_recording_knows_a_secret(file: Path) -> None:
    def leaves(value: object, key: str = "") -> list[tuple[str, object]]:
        if isinstance(value, dict):
            return [found for name, item in value.items() for found in leaves(item, str(name))]
        if isinstance(value, list):
            return [found for item in value for found in leaves(item, key)]
        return [(key, value)]

    named = [(key, value) for key, value in leaves(json.loads(file.read_text())) if value and "secret" in key.lower()]
    assert [pair for pair in named if pair[1] != "***"] == []
    assert "BEGIN OPENSSH PRIVATE" not in file.read_text()
