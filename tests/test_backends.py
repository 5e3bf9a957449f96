"""`--backend h100-kvm`: a GPU virtual machine beside the CPU tier, as settings, price, plan and refusals."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from provision import backends, capacity, engine, feasibility, leasing, pricing
from provision.clouds.facts import Calendar, Quota
from provision.clouds.openstack import OpenStackCloud
from provision.errors import PreconditionMissing, SettingsError, UsageError
from provision.settings import Allocation, Settings, load
from provision.site import Site
from provision.steps import STEPS

NOW = 1_795_435_200  # 2026-11-23 12:00 UTC


@pytest.fixture
def h100() -> Settings:
    told = Allocation(ends=date(2027, 5, 31), balance_su=20000)
    return load("chameleon", platform="case", backend="h100-kvm").model_copy(update={"allocation": told})


def test_only_the_gpu_tier_moves(h100: Settings) -> None:
    usual = load("chameleon", platform="case")
    assert (usual.backend, h100.backend) == ("", "h100-kvm")
    assert h100.sites["kvm-tacc"] == usual.sites["kvm-tacc"]
    gpu, before = h100.sites["chi-uc"], usual.sites["chi-uc"]
    assert (gpu.cloud, gpu.region, gpu.network.security_groups) == ("kvm-tacc", "KVM@TACC", True)
    assert (gpu.containers, gpu.store_cloud, gpu.pods_cidr) == (before.containers, "chi-uc", before.pods_cidr)


def test_it_costs_a_quarter_of_the_other_gpu_tier(h100: Settings) -> None:
    usual = load("chameleon", platform="case")
    gpu = [pricing.rate(settings.sites["chi-uc"].lease) for settings in (usual, h100)]
    assert gpu[1] == gpu[0] / 4
    assert pricing.price(h100).per_hour_su == 0.74


def test_it_fits_and_is_refused_for_nothing(h100: Settings) -> None:
    assert feasibility.refusals(h100, pricing.price(h100, NOW)) == ()
    assert capacity.refusals(h100, capacity.of_site(h100, "chi-uc")) == ()
    offered = {name: [one.flavor for one in capacity.offers(h100, capacity.of_site(h100, name))] for name in h100.sites}
    assert offered == {"kvm-tacc": ["m1.xlarge"], "chi-uc": []}


def test_its_lease_is_of_a_flavor_for_a_week(h100: Settings) -> None:
    address, server = leasing.wanted(h100, "chi-uc")
    held = server.reservation
    assert (held.kind, held.amount, held.of, server.hours_from(NOW)) == ("flavor:instance", 1, "g1.h100.pci.1", 168)
    assert (server.name, address.name) == ("case-chi-uc-lease", "case-chi-uc-lease-fip")
    assert server.elsewhere == ()


def test_the_same_steps_plan_it_with_a_network_and_groups_of_its_own(h100: Settings) -> None:
    site = cast(Site, SimpleNamespace(name="chi-uc", settings=h100))
    planned = [engine.blind(step, site) for step in STEPS if step.NAME in ("lease", "network", "nodes")]
    what = [change.what for changes in planned for change in changes]
    for thing in ("lease case-chi-uc-lease", "network case-chi-uc-network", "group case-chi-uc-group"):
        assert thing in what
    assert not any(text.startswith("firewall") for text in what)
    assert "gpu gpu1" in what


def test_its_servers_are_at_one_cloud_and_its_objects_at_another(h100: Settings) -> None:
    cloud: Any = OpenStackCloud(h100, "chi-uc")
    assert (cloud.session.entry, cloud.store.session.entry) == ("kvm-tacc", "chi-uc")
    assert cloud.store.owner.prefix == "case-chi-uc-"
    usual: Any = OpenStackCloud(load("chameleon", platform="case"), "chi-uc")
    assert usual.store.session is usual.session


def test_quotas_of_one_cloud_hold_both_tiers(h100: Settings) -> None:
    quotas = (Quota("cores", 50, 0),)
    assert feasibility.quota_refusals(h100, "kvm-tacc", quotas, {}) == ()
    beside = feasibility.wanted_quotas(h100, "chi-uc", {})
    (error,) = feasibility.quota_refusals(h100, "kvm-tacc", quotas, {}, beside)
    assert error.what == "kvm-tacc: 10 cores more than the quota holds"


def test_a_backend_that_is_none_is_a_wrong_command() -> None:
    with pytest.raises(UsageError) as caught:
        load("chameleon", platform="case", backend="a100")
    assert caught.value.why == "there are: usual, h100-kvm"
    with pytest.raises(UsageError, match="rehearsal: no backend 'h100-kvm'"):
        load("rehearsal", backend="h100-kvm")


def test_a_wrong_key_in_a_backend_is_named() -> None:
    from provision.settings import ENVIRONMENTS, parse

    text = (ENVIRONMENTS / "chameleon.toml").read_text().replace('store_cloud = "chi-uc"', 'stor_cloud = "chi-uc"')
    with pytest.raises(SettingsError) as caught:
        parse(Path("chameleon.toml"), text, env="chameleon", platform="case")
    assert "backends.h100-kvm.chi-uc.stor_cloud -> no such key" in caught.value.why


def test_every_command_knows_what_the_platform_was_built_with(h100: Settings) -> None:
    backends.remember(h100)
    assert load("chameleon", platform="case").backend == "h100-kvm"
    assert load("chameleon", platform="other").backend == ""
    backends.forget(h100, "kvm-tacc")
    assert load("chameleon", platform="case").backend == "h100-kvm"
    backends.forget(h100, "chi-uc")
    assert load("chameleon", platform="case").backend == ""


def test_the_environment_may_choose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TANDEM_BACKEND", "h100-kvm")
    assert load("chameleon", platform="case").backend == "h100-kvm"
    assert load("chameleon", platform="case", backend="usual").backend == ""


@pytest.mark.parametrize(("built", "asked"), [("usual", "h100-kvm"), ("h100-kvm", "usual")])
def test_nothing_is_written_beside_what_stands_in_another_backend(built: str, asked: str) -> None:
    backends.remember(load("chameleon", platform="case", backend=built))
    backends.refuse_another(load("chameleon", platform="case"))
    other = load("chameleon", platform="case", backend=asked)  # a plan may compare
    with pytest.raises(PreconditionMissing) as caught:
        backends.refuse_another(other)
    assert caught.value.next.endswith("provision.destroy --env chameleon --platform case --site chi-uc")


def test_a_rehearsal_remembers_nothing_where_there_is_no_choice() -> None:
    settings = load("rehearsal", platform="case")
    backends.remember(settings)
    assert backends.built_with(settings) == ""


def test_a_site_without_a_slot_offers_it() -> None:
    wish = leasing.wanted(load("chameleon", platform="case"), "chi-uc")[1]
    for calendar in (None, Calendar(NOW, ())):
        error = leasing.no_slot(wish, calendar, "HTTP 500: Not enough hosts available")
        offer = error.why.splitlines()[-1]
        assert offer.startswith("or g1.h100.pci.1 at KVM@TACC, 84 SU for 168 h: ")
        assert offer.endswith("invoke provision.all --env chameleon --backend h100-kvm")
