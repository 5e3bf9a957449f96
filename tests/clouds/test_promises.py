"""The promises of the clouds' APIs over recordings, with the settings of both environments."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from provision.clouds.recorder import renamed
from provision.settings import load
from tests.clouds.recorded_transport import RECORDED, cloud_of
from verify.contract import promises
from verify.contract.promises import PROMISES, Promise

pytestmark = pytest.mark.filterwarnings("ignore::openstack.warnings._RemovedInSDKWarning")
# Not recorded yet: `nox -s contract -- --env rehearsal --record tests/clouds/recorded`, and these go.
UNRECORDED = {
    promises.a_login_names_project_and_roles,
    promises.hosts_of_the_node_type_have_a_calendar,
    promises.the_image_is_there_and_another_is_not,
    promises.the_flavor_is_there_and_another_is_not,
    promises.the_networks_we_join_are_there,
    promises.quotas_are_told,
    promises.clocks_agree,
    promises.a_key_that_is_not_there_is_none,
    promises.a_lease_that_is_not_there_is_gone,
    promises.a_microversion_that_is_too_high_is_refused,
}
NOTHING_TO_ASK = {("kvm-tacc", promises.hosts_of_the_node_type_have_a_calendar)}


@pytest.mark.parametrize("env", ["rehearsal", "chameleon"])
@pytest.mark.parametrize("site", ["kvm-tacc", "chi-uc"])
@pytest.mark.parametrize("promise", PROMISES, ids=promises.name_of)
def test_a_promise_is_kept_as_recorded(promise: Promise, site: str, env: str, tmp_path: Path) -> None:
    cloud, _ = cloud_of(load(env, platform="case"), site, tmp_path)
    if promise in UNRECORDED and (site, promise) not in NOTHING_TO_ASK:
        with pytest.raises(AssertionError, match="not recorded"):
            promise(cloud)
    else:
        promise(cloud)


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
