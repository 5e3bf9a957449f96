"""`nox -s contract -- --env E`: every promise, at every site, live."""

from __future__ import annotations

from provision.clouds.openstack import OpenStackCloud
from verify.contract.promises import Promise


def test_a_promise_is_kept(promise: Promise, cloud: OpenStackCloud) -> None:
    """Read only, unless --writes."""
    promise(cloud)
