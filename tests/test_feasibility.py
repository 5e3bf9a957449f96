"""What keeps a plan from running: each refused with the number that is missing and what would fit."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import Any

import pytest

from provision import capacity, feasibility, pricing
from provision.clouds.facts import Quota
from provision.errors import PlatformError
from provision.settings import ENVIRONMENTS, Settings, load
from tests.steps.test_plans import laid_over

NOW = 1_795_435_200  # 2026-11-23 12:00 UTC


def changed(over: Mapping[str, Any], env: str = "chameleon") -> Settings:
    """An environment with settings laid over it; the allocation's end is told."""
    table = tomllib.loads((ENVIRONMENTS / f"{env}.toml").read_text())
    told = {"platform": "case", "allocation": {"ends": "2027-05-31", "balance_su": 20000.0}}
    return Settings.model_validate({"env": env, **laid_over(laid_over(table, told), over)})


def refused(settings: Settings) -> tuple[PlatformError, ...]:
    return feasibility.refusals(settings, pricing.price(settings, NOW))


@pytest.mark.parametrize("env", ["rehearsal", "chameleon"])
def test_the_brief_s_sizes_fit(env: str) -> None:
    assert refused(changed({}, env)) == ()


def test_overlapping_networks_are_named_with_how_much_they_share() -> None:
    (error,) = refused(changed({"sites": {"chi-uc": {"pods_cidr": "10.233.96.0/19"}}}))
    assert error.what == "kvm-tacc pods and chi-uc pods overlap in 8192 addresses"
    assert error.next == "give sites.chi-uc.pods_cidr other addresses in provision/environments/chameleon.toml"


def test_host_networks_count_too_and_both_ways() -> None:
    (error,) = refused(changed({"sites": {"kvm-tacc": {"network": {"cidr": "10.140.0.0/16"}}}}))
    assert error.what == "kvm-tacc hosts and chi-uc hosts overlap in 1024 addresses"


def test_three_small_servers_are_refused_with_what_lacks_and_what_would_fit() -> None:
    site = load("chameleon", platform="case").sites["kvm-tacc"]
    nodes = [{**node.model_dump(mode="json"), "flavor": "m1.small"} for node in site.nodes]
    small = changed({"sites": {"kvm-tacc": {"nodes": nodes, "lease": {"flavor": "m1.small"}}}})
    assert refused(small) == ()
    errors = capacity.refusals(small, capacity.of_site(small, "kvm-tacc"))
    assert all("lacks" in f"{error.what} {error.why}" and "MiB" in f"{error.what} {error.why}" for error in errors)
    assert errors
    assert 's/flavor = "m1.small"/flavor = "m1.large"/g' in errors[0].next
    assert "now 2.06 SU/h" in errors[0].next


def test_a_lease_for_fewer_servers_than_nodes() -> None:
    (error,) = refused(changed({"sites": {"kvm-tacc": {"lease": {"amount": 2}}}}))
    assert error.what == "kvm-tacc: the lease holds 1 servers too few"


def test_nodes_of_another_size_than_the_lease() -> None:
    (error,) = refused(changed({"sites": {"kvm-tacc": {"lease": {"flavor": "m1.xlarge"}}}}))
    assert error.what == "kvm-tacc: nodes are m1.large, the lease is of m1.xlarge"


def test_long_leases_need_the_allocation_s_end() -> None:
    (error,) = refused(changed({"allocation": {"ends": None}}))
    assert "[allocation]" in error.next
    assert refused(changed({"allocation": {"ends": None}}, "rehearsal")) == ()
    short = {"allocation": {"ends": None}, "sites": {"kvm-tacc": {"lease": {"hours": 168}}}}
    assert refused(changed(short)) == ()


def test_a_balance_that_is_too_small_says_by_how_much_and_what_would_fit() -> None:
    (error,) = refused(changed({"allocation": {"balance_su": 1000.0}}))
    assert error.what == "372.8 SU more than the balance holds"  # 4320 h x 0.24 + 168 h x 2
    assert "446 h of both sites would fit" in error.why


def test_what_is_still_due_counts_not_what_was_asked_for() -> None:
    settings = changed({"allocation": {"balance_su": 1000.0}})
    due = pricing.price(settings, NOW, {"kvm-tacc": 100.0, "chi-uc": None})
    assert due.until_end_su == 24 + 336
    assert feasibility.refusals(settings, due) == ()


QUOTAS = (Quota("servers", 10, 8), Quota("cores", -1, 99), Quota("ports", 50, 50), Quota("GiB of volumes", 40, 0))


def test_quotas_are_compared_with_what_is_still_missing() -> None:
    settings = changed({})
    errors = feasibility.quota_refusals(settings, "kvm-tacc", QUOTAS, {})
    assert [error.what for error in errors] == [
        "kvm-tacc: 1 servers more than the quota holds",
        "kvm-tacc: 3 ports more than the quota holds",
        "kvm-tacc: 10 GiB of volumes more than the quota holds",
    ]
    assert errors[0].why == "3 more wanted; 8 of 10 used, 2 left"
    assert (
        feasibility.quota_refusals(settings, "kvm-tacc", QUOTAS, {"servers": 1, "ports": 3, "GiB of volumes": 50}) == ()
    )


def test_a_whole_host_takes_no_cores_of_the_quota() -> None:
    wanted = feasibility.wanted_quotas(changed({}), "chi-uc", {})
    assert (wanted["servers"], wanted["cores"], wanted["volumes"], wanted["networks"]) == (1, 0, 0, 0)
    assert feasibility.wanted_quotas(changed({}), "kvm-tacc", {"servers": 1})["cores"] == 8
