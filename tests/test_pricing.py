"""Service units of a shape."""

from __future__ import annotations

from datetime import date

import pytest

from provision import pricing
from provision.errors import SettingsError
from provision.settings import Allocation, Lease, load

NOW = 1_795_435_200  # 2026-11-23 12:00 UTC


def test_the_brief_s_shape_has_the_brief_s_price() -> None:
    """3 x m1.large and one RTX 6000 host: 3 x .08 + 2; a month and a week of it."""
    price = pricing.price(load("rehearsal"))
    assert price.per_hour_su == 2.24
    assert price.total_su == round(0.24 * 720 + 2 * 168, 2)


def test_a_rehearsal_says_that_it_spends_nothing() -> None:
    price = pricing.price(load("rehearsal"))
    told = price.as_json()
    assert (told["per_hour_su"], told["total_su"], told["spends"]) == (2.24, price.total_su, False)
    assert (told["until_end_su"], told["balance_su"], told["share"]) == (None, None, None)
    assert price.text().startswith("spends nothing (on the testbed: 2.24 SU/h")


def test_the_allocation_s_end_cuts_the_leases() -> None:
    ends = date(2026, 12, 3)
    settings = load("chameleon", platform="case")
    settings = settings.model_copy(update={"allocation": Allocation(ends=ends, balance_su=1000)})
    price = pricing.price(settings, NOW)
    assert price.total_su == round(0.24 * 228 + 2 * 168, 2)  # nine days and a half, and a week
    assert price.share == pytest.approx(0.3907, abs=1e-4)
    assert price.text() == ("2.24 SU/h, 390.72 SU for the leases, 39.1% of 1000 SU (rates of 2025-09-03)")


def test_what_is_still_due_is_of_the_hours_left() -> None:
    price = pricing.price(load("rehearsal"), NOW, {"kvm-tacc": 10.0, "chi-uc": 50.0})
    assert price.until_end_su == 2.4 + 100
    assert "102.4 SU until they end" in price.text()


def test_a_size_without_a_known_price_is_refused() -> None:
    with pytest.raises(SettingsError):
        pricing.rate(Lease(kind="physical:host", node_type="gpu_unheard_of", amount=1, hours=1))
