"""Volume and containers: there, ours, and open to the shipped S3 key and to no other.

Asked from the operator's machine, because hosts come later; `check_reach.py` asks hosts of both sites.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import requests

from provision import s3
from provision.settings import Settings, load
from provision.site import Site

OBJECT = "tandem-verify"
TEXT = b"written from the operator's machine with the shipped key"
DEADLINE_S = 20
REFUSED = (401, 403)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One check a container of the settings."""
    if "container" in metafunc.fixturenames:
        settings = load(metafunc.config.getoption("env"))
        names = containers(settings)
        roles = [name.removeprefix(f"{settings.platform}-") for name in names]
        metafunc.parametrize("container", [f"/{name}" for name in names], ids=roles)


def containers(settings: Settings) -> list[str]:
    """Whole names of all containers."""
    return [container for name in settings.sites for container in settings.containers(name)]


@pytest.fixture
def key(site: Site) -> s3.Key:
    """The shipped key of the site with the object store."""
    return s3.KeyFile.of(site.settings, site.name).read()


@pytest.fixture
def path(key: s3.Key, container: str) -> Iterator[str]:
    """Where a check writes; removed whatever happens."""
    where = f"{container}/{OBJECT}"
    yield where
    requests.delete(s3.presigned(key, "DELETE", where), timeout=DEADLINE_S)


@pytest.mark.sites("kvm-tacc")
def test_the_volume_is_ours_and_well(site: Site) -> None:
    """By metadata, name and size."""
    wanted = site.own.volume
    assert wanted is not None
    assert [
        (volume.name, volume.gib >= wanted.gib, volume.status in ("available", "in-use"))
        for volume in site.cloud.store.list_volumes()
    ] == [(site.settings.name(site.name, "volume", 1), True, True)]


@pytest.mark.sites("chi-uc")
def test_every_container_is_there_and_ours(site: Site) -> None:
    """No more and no fewer than the settings name."""
    assert {found.name for found in site.cloud.store.list_containers()} == set(containers(site.settings))


@pytest.mark.sites("chi-uc")
def test_the_shipped_key_writes_and_reads(key: s3.Key, path: str) -> None:
    """Nothing else opens the container here."""
    requests.put(s3.presigned(key, "PUT", path), data=TEXT, timeout=DEADLINE_S).raise_for_status()
    assert requests.get(s3.presigned(key, "GET", path), timeout=DEADLINE_S).content == TEXT


@pytest.mark.sites("chi-uc")
def test_any_other_key_is_refused(key: s3.Key, container: str) -> None:
    """The same request, signed with another secret."""
    url = s3.presigned(replace(key, secret="another"), "GET", f"{container}/{OBJECT}")
    assert requests.get(url, timeout=DEADLINE_S).status_code in REFUSED
