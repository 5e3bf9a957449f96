from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from provision import releases
from provision.releases import Release
from provision.settings import Settings, load
from serving import __version__, stages

RELEASES = releases.load()
ENVIRONMENTS = ("rehearsal", "chameleon")
by_name = pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.name)
by_environment = pytest.mark.parametrize("env", ENVIRONMENTS)


def settings(env: str) -> Settings:
    return load(env, platform="rehearsal")


def leaves(tree: Any) -> Iterator[str]:
    """Every string in a tree of values."""
    if isinstance(tree, Mapping):
        for value in tree.values():
            yield from leaves(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from leaves(value)
    elif isinstance(tree, str):
        yield tree


def sized(tree: Any) -> Iterator[Mapping[str, Any]]:
    """Every `resources` mapping in a tree of values."""
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            if key == "resources":
                yield value
            else:
                yield from sized(value)


def templates(release: Release) -> str:
    return "".join(path.read_text(encoding="utf-8") for path in sorted((release.folder / "chart/templates").iterdir()))


def test_the_applications_of_the_first_slice_are_there() -> None:
    assert {release.name for release in RELEASES} >= {
        "block-storage",
        "postgresql",
        "prometheus",
        "prometheus-agent",
        "device-plugin",
        "serving",
    }


@by_name
def test_our_chart_has_the_version_of_its_release(release: Release) -> None:
    chart = yaml.safe_load((release.folder / release.chart / "Chart.yaml").read_text(encoding="utf-8"))
    assert chart["version"] == release.version
    assert chart["apiVersion"] == "v2"


@by_name
@by_environment
def test_every_image_of_the_values_is_on_the_list_and_no_other(release: Release, env: str) -> None:
    named = {
        text
        for text in leaves(releases.values(release, settings(env)))
        if text.split("/")[0] in settings(env).registry.upstreams
    }
    assert named == set(release.images)


@by_name
def test_every_image_is_pinned_or_said_not_to_be(release: Release) -> None:
    assert set(release.image_digests) == set(release.images)
    for digest in release.image_digests.values():
        assert digest == "unresolved" or digest.startswith("sha256:")
    assert all(":" in image.rsplit("/", 1)[1] and not image.endswith(":latest") for image in release.images)


@by_name
def test_the_summary_is_what_the_values_ask_for_at_full_size(release: Release) -> None:
    found = list(sized(releases.values(release, settings("chameleon"))))
    assert sum(entry["requests"]["cpu_millicores"] for entry in found) == release.requests.cpu_millicores
    assert sum(entry["requests"]["memory_mib"] for entry in found) == release.requests.memory_mib


@by_name
@by_environment
def test_requests_stay_under_limits_and_limits_above_the_measured_need(release: Release, env: str) -> None:
    for entry in sized(releases.values(release, settings(env))):
        assert entry["floor"]["memory_mib"] <= entry["limits"]["memory_mib"]
        assert entry["requests"]["memory_mib"] <= entry["limits"]["memory_mib"]


@by_name
def test_what_is_waited_for_is_what_the_chart_makes(release: Release) -> None:
    text = templates(release)
    for ready in release.ready:
        stem = ready.name.removeprefix("serving-") if release.name == "serving" else ready.name
        known = stem in text or stem in stages.NAMES or stem in str(releases.values(release, settings("rehearsal")))
        assert known and f"kind: {ready.kind}" in text


@by_name
def test_pods_ask_for_no_privilege(release: Release) -> None:
    text = templates(release)
    assert "privileged: true" not in text
    assert "hostNetwork" not in text
    pods = text.count("kind: Deployment") + text.count("kind: StatefulSet") + text.count("kind: DaemonSet")
    assert pods >= 1
    assert text.count("imagePullPolicy: IfNotPresent") >= pods
    assert text.count("allowPrivilegeEscalation: false") >= pods
    assert text.count("enableServiceLinks: false") == pods


def test_every_stage_is_deployed_and_waited_for() -> None:
    release = releases.named("serving")
    given = releases.values(release, settings("rehearsal"))
    assert set(given["stages"]) == set(stages.NAMES)
    assert {ready.name for ready in release.ready} == {stage.service for stage in stages.load()}
    assert release.requests.gpu_shares == sum(stage.gpu_shares * stage.replicas for stage in stages.load())
    assert set(given["service"]["clusterIPs"]) == set(stages.NAMES)


def test_the_image_has_the_version_of_the_package() -> None:
    assert releases.named("serving").images == (f"ghcr.io/tandem/serving:{__version__}",)


@by_environment
def test_the_link_listens_where_the_stages_say(env: str) -> None:
    ports = {forward.service: forward.port for forward in settings(env).link.forwards}
    for stage in stages.load():
        assert ports[stage.service] == stage.port


def test_a_cpu_is_allowed_in_the_rehearsal_and_nowhere_else() -> None:
    release = releases.named("serving")
    assert releases.values(release, settings("rehearsal"))["allowCpu"] is True
    assert releases.values(release, settings("chameleon"))["allowCpu"] is False


def test_the_stages_leave_shares_of_the_card_for_two_workers() -> None:
    shares = releases.values(releases.named("device-plugin"), settings("rehearsal"))["shares"]
    gpu = settings("rehearsal").sites["chi-uc"].gpu
    assert gpu is not None
    assert shares == gpu.shares == releases.named("serving").requests.gpu_shares + 2


def test_the_stages_gpu_memory_fits_the_card() -> None:
    gpu = settings("chameleon").sites["chi-uc"].gpu
    assert gpu is not None
    assert sum(math.ceil(stage.gpu_memory_mib / 1024) * stage.replicas for stage in stages.load()) < gpu.vram_gib


def test_the_schema_accepts_the_table_it_is_made_for() -> None:
    schema = json.loads(Path(releases.named("serving").folder / "chart/values.schema.json").read_text(encoding="utf-8"))
    stage = schema["properties"]["stages"]["additionalProperties"]
    given = releases.values(releases.named("serving"), settings("rehearsal"))["stages"]["canary"]
    assert set(stage["required"]) == set(given)
    assert set(stage["properties"]) == set(given)


@pytest.mark.parametrize("name", ["prometheus", "prometheus-agent"])
def test_what_is_not_discovered_is_listed_whole(name: str) -> None:
    release, env = releases.named(name), settings("rehearsal")
    given = releases.values(release, env)
    if given["discovery"] == "static":
        assert given["nodes"] == [node.name for node in env.sites[release.site].nodes]
        wanted = {f"{stage.service}.serving.svc:8000" for stage in stages.load()} if release.site == "chi-uc" else set()
        assert {target["address"] for target in given["targets"]} == wanted
