"""Service units of a shape."""

from __future__ import annotations

import pytest

from provision import pricing
from provision.errors import SettingsError
from provision.settings import Lease, load


def test_the_brief_s_shape_has_the_brief_s_price() -> None:
    """3 x m1.large and one RTX 6000 host: 3 x .08 + 2; a month and a week of it."""
    price = pricing.price(load("rehearsal"))
    assert price.per_hour_su == 2.24
    assert price.total_su == round(0.24 * 720 + 2 * 168, 2)


def test_a_rehearsal_says_that_it_spends_nothing() -> None:
    price = pricing.price(load("rehearsal"))
    assert price.as_json() == {"per_hour_su": 2.24, "total_su": price.total_su, "spends": False}
    assert price.text().startswith("spends nothing (on the testbed: 2.24 SU/h")


def test_a_size_without_a_known_price_is_refused() -> None:
    with pytest.raises(SettingsError):
        pricing.rate(Lease(kind="physical:host", node_type="gpu_unheard_of", amount=1, hours=1))
