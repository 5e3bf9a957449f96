"""Packing as data: pods and claims of a case -> what is free on each node, or what is refused and by how much.

A case is tests/capacity/cases/<name>.toml: `site`, `pods`, `claims` (GiB by application); `free` (node -> [millicores,
MiB]) where it fits, else `[[refused]]` in order, each with parts of the texts.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from provision import capacity, capacity_table, pods, releases, values
from provision.capacity import Capacity
from provision.errors import DoesNotFit, SettingsError
from provision.pods import Pod, PodTable
from provision.releases import Release
from provision.settings import Settings, load

CASES = sorted((Path(__file__).parent / "capacity" / "cases").glob("*.toml"))
ENVIRONMENTS = ("rehearsal", "chameleon")
KEYS = {"site", "pods", "claims", "free", "refused"}
REHEARSAL = load("rehearsal")


def settings(env: str) -> Settings:
    return load(env, platform="vision")


def packed(case: Mapping[str, Any]) -> Capacity:
    return capacity.of(REHEARSAL, case["site"], [Pod(**row) for row in case["pods"]], case.get("claims", {}))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_it_fits_or_is_refused_as_written(path: Path) -> None:
    case = tomllib.loads(path.read_text())
    assert set(case) <= KEYS
    assert ("free" in case) != ("refused" in case)
    found = packed(case)
    refused = capacity.refusals(REHEARSAL, found)
    assert len(refused) == len(case.get("refused", [])), refused
    for written, error in zip(case.get("refused", []), refused, strict=True):
        assert error.exit_code == 3
        for key, text in written.items():
            assert text in getattr(error, key)
    if "free" in case:
        left = {node.name: [node.free.cpu_millicores, node.free.memory_mib] for node in found.nodes}
        assert left == case["free"]


@pytest.mark.parametrize("env", ENVIRONMENTS)
@pytest.mark.parametrize("site", REHEARSAL.sites)
def test_what_is_in_apps_fits(env: str, site: str) -> None:
    capacity.check(settings(env), [site])


@pytest.mark.parametrize("site", REHEARSAL.sites)
def test_the_rehearsal_plans_the_testbed_s_sizes(site: str) -> None:
    there, here = (
        {(pod.application, pod.name): pod for pod in capacity.demand(settings(env), site)} for env in ENVIRONMENTS
    )
    assert {key: here[key] for key in here if key in there} == {key: there[key] for key in there if key in here}


def rows() -> Iterator[tuple[Settings, Release]]:
    for env in ENVIRONMENTS:
        found = settings(env)
        yield from ((full(found), release) for release in releases.every(found))


def full(found: Settings) -> Settings:
    return found.model_copy(update={"cpu_scale": 1.0, "memory_scale": 1.0})


each_release = pytest.mark.parametrize(
    ("of", "release"),
    tuple(rows()),
    ids=lambda part: part.env if isinstance(part, Settings) else f"{part.site}-{part.name}",
)


@each_release
def test_no_pod_is_forgotten(of: Settings, release: Release) -> None:
    """The pods of the table, together, are what the release is said to ask for; a pod on every node counts once."""
    found = pods.of(release.name, release.pods, values.of(release, of))
    assert sum(pod.cpu_millicores * pod.replicas for pod in found) == release.requests.cpu_millicores
    assert sum(pod.memory_mib * pod.replicas for pod in found) == release.requests.memory_mib
    assert sum(pod.gpu_shares * pod.replicas for pod in found) == release.requests.gpu_shares


@each_release
def test_what_claims_from_the_volume_is_on_its_node(of: Settings, release: Release) -> None:
    claims = sum(claim["size_gib"] for claim in on_volume(values.of(release, of)))
    assert claims == release.requests.disk_gib
    assert bool(claims) == any(row.on == "volume" for row in release.pods)


def on_volume(tree: Any) -> Iterator[Mapping[str, Any]]:
    """Every `storage` mapping of class `block` in a tree of values."""
    if isinstance(tree, Mapping):
        if tree.get("class") == "block" and "size_gib" in tree:
            yield tree
        for value in tree.values():
            yield from on_volume(value)


def test_the_next_larger_flavor_is_offered_with_its_price() -> None:
    found = capacity.of_site(REHEARSAL, "kvm-tacc")
    offers = capacity.offers(REHEARSAL, found)
    assert [(offer.flavor, offer.price.per_hour_su, offer.fits) for offer in offers] == [("m1.xlarge", 2.45, True)]
    assert capacity.offers(REHEARSAL, capacity.of_site(REHEARSAL, "chi-uc")) == ()
    text = capacity_table.text(REHEARSAL, [found])
    assert "kvm-tacc: m1.xlarge instead of m1.large: 2.45 SU/h instead of 2.24" in text


def test_the_table_and_the_data_say_the_same() -> None:
    found = [capacity.of_site(REHEARSAL, name) for name in REHEARSAL.sites]
    lines = capacity_table.text(REHEARSAL, found).splitlines()
    told: Any = capacity_table.as_json(REHEARSAL, found)
    assert [site["site"] for site in told] == list(REHEARSAL.sites)
    assert {"site", "nodes", "homeless", "shared", "offers"} == set(told[0])
    for node in (node for site in told for node in site["nodes"]):
        free = next(line for line in lines if line.split()[:2] == [node["name"], "free"])
        assert free.split()[2:4] == [f"{node['free']['cpu_millicores']}m", str(node["free"]["memory_mib"])]
        assert sum(line.split()[0] == node["name"] for line in lines) == len(node["pods"]) + 3


def test_a_size_that_is_not_in_the_table_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"flavors -> expected the size of 'm1\.large'"):
        capacity.of_site(REHEARSAL.model_copy(update={"flavors": {}}), "kvm-tacc")


def test_a_check_names_the_first_thing_that_does_not_fit() -> None:
    gpu = REHEARSAL.sites["chi-uc"].gpu
    assert gpu is not None
    narrow = REHEARSAL.sites["chi-uc"].model_copy(update={"gpu": gpu.model_copy(update={"shares": 3})})
    with pytest.raises(DoesNotFit, match="more GPU shares"):
        capacity.check(REHEARSAL.model_copy(update={"sites": {**REHEARSAL.sites, "chi-uc": narrow}}), ["chi-uc"])


def sized(cpu: int, memory: int) -> dict[str, Any]:
    return {"requests": {"cpu_millicores": cpu, "memory_mib": memory}}


def test_a_row_s_containers_are_one_pod() -> None:
    tree = {"main": {"resources": sized(100, 200)}, "side": {"resources": sized(10, 20)}, "replicas": 2}
    row = PodTable(name="x", resources=("main.resources", "side.resources"), replicas="replicas")
    assert pods.of("app", [row], tree) == (Pod("app", "x", 110, 220, replicas=2),)


def test_a_star_is_each_key_or_index() -> None:
    tree = {"stages": {"a": {"resources": sized(1, 2), "n": 3}, "b": {"resources": sized(4, 5), "n": 6}}}
    row = PodTable(name="s-*", resources=("stages.*.resources",), gpu_shares="stages.*.n", gpu_memory_mib=7)
    assert pods.of("app", [row], tree) == (
        Pod("app", "s-a", 1, 2, gpu_shares=3, gpu_memory_mib=7),
        Pod("app", "s-b", 4, 5, gpu_shares=6, gpu_memory_mib=7),
    )
    listed = PodTable(name="g-*", resources=("groups.*.resources",))
    assert [pod.name for pod in pods.of("app", [listed], {"groups": [{"resources": sized(1, 2)}]})] == ["g-0"]


@pytest.mark.parametrize("path", ["gone", "list.2", "list.x", "number.deeper"])
def test_a_path_that_leads_nowhere_is_named(path: str) -> None:
    with pytest.raises(LookupError, match=f"nothing at '{path}'"):
        pods.at({"list": [1, 2], "number": 3}, path)
