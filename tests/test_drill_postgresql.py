"""The definition of the server that the backups are tried in: nothing of the live one is touched."""

from __future__ import annotations

from typing import Any

from provision import following
from verify.drills.scratch import pod

WHEN = "2026-11-25 10:00:00.000001"
LIVE: dict[str, Any] = {
    "initContainers": [{"name": "prepare", "command": ["/etc/tandem/prepare.sh"]}],
    "containers": [
        {"name": "postgresql", "args": ["--config_file=x"], "lifecycle": {}, "ports": [], "livenessProbe": {}},
        {"name": "keeper"},
    ],
    "volumes": [{"name": "object-store", "secret": {"secretName": "object-store"}}],
}


def test_it_archives_nothing_and_nobody_reaches_it() -> None:
    made = pod(LIVE, "")
    (server,) = made["spec"]["containers"]
    assert server["args"] == ["--config_file=x", "--archive_mode=off", "--listen_addresses="]
    assert "labels" not in made["metadata"]
    assert {"name": "data", "emptyDir": {}} in made["spec"]["volumes"]
    assert list(following.mentioned(made["spec"])) == ["object-store"]


def test_without_a_time_it_starts_as_the_platforms_own() -> None:
    assert pod(LIVE, "")["spec"]["initContainers"] == LIVE["initContainers"]


def test_a_time_is_where_recovery_ends() -> None:
    spec = pod(LIVE, WHEN)["spec"]
    assert spec["initContainers"][0]["command"] == ["/etc/tandem/restore.sh", "$(PGDATA)", WHEN]
    assert f"--recovery_target_time={WHEN}+00" in spec["containers"][0]["args"]
    assert LIVE["containers"][0]["args"] == ["--config_file=x"]
