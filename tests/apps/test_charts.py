from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from provision import pods, releases, values
from provision.releases import Release
from provision.settings import Settings, load
from rehearsal.artifacts import lock
from serving import __version__, stages

SETTINGS = {env: load(env, platform="rehearsal") for env in ("rehearsal", "chameleon")}
RELEASES = [(env, release) for env, settings in SETTINGS.items() for release in releases.every(settings)]
OURS = [(env, release) for env, release in RELEASES if release.chart]
WORKBENCH = "ghcr.io/tandem/workbench:"  # holds the code of pipelines/, which changes more often than its version
PRIVILEGED: dict[str, str] = {"csi-rclone-shim": "mounts on its node for other pods"}
"""Releases that may ask for what nobody else may, and why."""
POD_MAKERS = ("Deployment", "StatefulSet", "DaemonSet", "CronJob", "Job", "RayCluster")


def ids(value: str | Release) -> str:
    return value if isinstance(value, str) else f"{value.site}-{value.name}"


every = pytest.mark.parametrize(("env", "release"), RELEASES, ids=ids)
ours = pytest.mark.parametrize(("env", "release"), OURS, ids=ids)
by_environment = pytest.mark.parametrize("env", SETTINGS)


def settings(env: str) -> Settings:
    return SETTINGS[env]


def named(name: str, env: str = "rehearsal") -> Release:
    return next(release for release in releases.every(SETTINGS[env]) if release.name == name)


def full_size(env: str) -> Settings:
    return SETTINGS[env].model_copy(update={"cpu_scale": 1.0, "memory_scale": 1.0})


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
    assert {release.name for env, release in RELEASES if env == "rehearsal"} >= {
        "block-storage",
        "postgresql",
        "prometheus",
        "prometheus-agent",
        "device-plugin",
        "serving",
    }


@ours
def test_our_chart_has_the_version_of_its_release(env: str, release: Release) -> None:
    chart = yaml.safe_load((release.folder / release.chart / "Chart.yaml").read_text(encoding="utf-8"))
    assert chart["version"] == release.version
    assert chart["apiVersion"] == "v2"


@ours
def test_every_image_of_the_values_is_on_the_list_and_no_other(env: str, release: Release) -> None:
    named = {
        text
        for text in leaves(values.of(release, settings(env)))
        if text.split("/")[0] in settings(env).registry.upstreams
    }
    assert named == set(release.images)


@every
def test_every_image_is_pinned_or_said_not_to_be(env: str, release: Release) -> None:
    assert set(release.image_digests) == set(release.images)
    for digest in release.image_digests.values():
        assert digest == "unresolved" or digest.startswith("sha256:")
    assert all(":" in image.rsplit("/", 1)[1] and not image.endswith(":latest") for image in release.images)


@ours
def test_the_summary_is_what_the_values_ask_for_at_full_size(env: str, release: Release) -> None:
    found = pods.of(release.name, release.pods, values.of(release, full_size(env)))
    assert sum(pod.cpu_millicores * pod.replicas for pod in found) == release.requests.cpu_millicores
    assert sum(pod.memory_mib * pod.replicas for pod in found) == release.requests.memory_mib
    assert sum(pod.gpu_shares * pod.replicas for pod in found) == release.requests.gpu_shares


@ours
def test_requests_stay_under_limits_and_limits_above_the_measured_need(env: str, release: Release) -> None:
    for entry in sized(values.of(release, settings(env))):
        assert entry["floor"]["memory_mib"] <= entry["limits"]["memory_mib"]
        assert entry["requests"]["memory_mib"] <= entry["limits"]["memory_mib"]


@ours
def test_what_is_waited_for_is_what_the_chart_makes(env: str, release: Release) -> None:
    text = templates(release)
    for ready in release.ready:
        stem = ready.name.removeprefix("serving-") if release.name == "serving" else ready.name
        known = stem in text or stem in stages.NAMES or stem in str(values.of(release, settings(env)))
        assert known and f"kind: {ready.kind.partition('.')[0]}" in text


@ours
def test_pods_ask_for_no_privilege(env: str, release: Release) -> None:
    text = templates(release)
    assert ("privileged: true" in text) == (release.name in PRIVILEGED)
    assert "hostNetwork" not in text
    workloads = sum(text.count(f"kind: {kind}\n") for kind in POD_MAKERS)
    assert (workloads >= 1) == any(ready.condition != "Exists" for ready in release.ready)
    policy = "Always" if WORKBENCH in str(values.of(release, settings(env))) else "IfNotPresent"
    of_checkout = '{{ ternary "Always" "IfNotPresent" '
    assert text.count(f"imagePullPolicy: {of_checkout if release.made_from else policy}") >= workloads
    assert text.count("allowPrivilegeEscalation: false") + text.count("privileged: true") >= workloads
    assert text.count("enableServiceLinks: false") == workloads


def test_every_stage_is_deployed_and_waited_for() -> None:
    release = named("serving")
    given = values.of(release, settings("rehearsal"))
    assert set(given["stages"]) == set(stages.NAMES)
    assert {ready.name for ready in release.ready} == {"serving-router", *(stage.service for stage in stages.load())}
    assert release.requests.gpu_shares == sum(stage.gpu_shares * stage.replicas for stage in stages.load())
    assert set(given["service"]["clusterIPs"]) == set(stages.NAMES)


@by_environment
def test_a_stage_starts_with_the_folder_that_is_registered_and_the_image_has_it(env: str) -> None:
    release = named("serving", env)
    given, text = values.of(release, settings(env)), templates(release)
    assert given["precision"] == asdict(stages.load_precision())
    assert text.count('include "serving.embedder"') == 2  # MODEL_DIR, and what the Job registers
    assert "ternary .Values.precision.cpu .Values.precision.gpu .Values.allowCpu" in text
    made = {f"/{layer.into}" for layer in lock.load().layer if layer.kind == "export"}
    wanted = {f"{given['models']['embedder']}-{precision}" for precision in given["precision"].values()}
    assert wanted | {given["models"]["summarizer"]} <= made


def test_the_image_has_the_version_of_the_package() -> None:
    assert named("serving").images == (f"ghcr.io/tandem/serving:{__version__}",)


@by_environment
def test_the_link_listens_where_the_stages_say(env: str) -> None:
    ports = {forward.service: forward.port for forward in settings(env).link.forwards}
    router = stages.load_router()
    for service, port in [*((one.service, one.port) for one in stages.load()), (router.service, router.port)]:
        assert ports[service] == port


def test_a_cpu_is_allowed_in_the_rehearsal_and_nowhere_else() -> None:
    release = named("serving")
    assert values.of(release, settings("rehearsal"))["allowCpu"] is True
    assert values.of(release, settings("chameleon"))["allowCpu"] is False


@by_environment
def test_a_card_is_cut_into_as_many_shares_as_are_asked_for(env: str) -> None:
    gpu = settings(env).sites["chi-uc"].gpu
    asked = sum(release.requests.gpu_shares for release in releases.at("chi-uc", settings(env)))
    assert gpu is not None
    assert asked == gpu.shares * gpu.count == named("serving", env).requests.gpu_shares + 2


@pytest.mark.parametrize(("env", "name"), [("rehearsal", "device-plugin"), ("chameleon", "gpu-operator")])
def test_whoever_cuts_the_card_is_told_the_shares_of_the_settings(env: str, name: str) -> None:
    config = values.of(named(name, env), settings(env))["devicePlugin"]["config"]
    told = yaml.safe_load(config["data"][config["default"]])["sharing"]["timeSlicing"]
    gpu = settings(env).sites["chi-uc"].gpu
    assert gpu is not None
    assert told["resources"] == [{"name": "nvidia.com/gpu", "replicas": gpu.shares}]
    assert told["renameByDefault"] and told["failRequestsGreaterThanOne"]


def test_the_schema_accepts_the_table_it_is_made_for() -> None:
    schema = json.loads(Path(named("serving").folder / "chart/values.schema.json").read_text(encoding="utf-8"))
    stage = schema["properties"]["stages"]["additionalProperties"]
    given = values.of(named("serving"), settings("rehearsal"))["stages"]["canary"]
    assert set(stage["required"]) == set(given)
    assert set(stage["properties"]) == set(given)


@by_environment
def test_every_bucket_of_the_applications_is_a_container_that_storage_makes_and_removes(env: str) -> None:
    own = settings(env)
    held = {*values.of(named("s3", env), own)["buckets"], "chi-uc-s3-meta"}
    assert {f"{own.platform}-{name}" for name in held} <= set(own.containers("chi-uc"))
