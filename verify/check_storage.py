"""Volume and containers: there, ours, and usable from the hosts of both sites with the shipped S3 key only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from provision import s3
from provision.clouds.storage import MARK
from provision.settings import Settings, load
from provision.site import Site

OBJECT = "tandem-verify"
TEXT = "written by a host with the shipped key"
REFUSED = ("401", "403")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One check a container of the settings."""
    if "container" in metafunc.fixturenames:
        names = containers(load(metafunc.config.getoption("env")))
        metafunc.parametrize("container", names, ids=[name.split("-", 3)[-1] for name in names])


def containers(settings: Settings) -> list[str]:
    """Whole names of all containers."""
    return [settings.name(name, role) for name, site in settings.sites.items() for role in site.containers]


def home(settings: Settings) -> str:
    """The site with the object store."""
    return next(name for name, site in settings.sites.items() if site.containers)


@pytest.fixture(scope="module")
def key(settings: Settings) -> s3.Key:
    """The shipped key."""
    return s3.KeyFile.of(settings, home(settings)).read()


@pytest.fixture
def path(site: Site, container: str, key: s3.Key) -> Iterator[str]:
    """Where a host of the site writes; removed whatever happens."""
    where = f"/{container}/{OBJECT}-{site.name}"
    yield where
    _curl(site, f'url = "{s3.presigned(key, "DELETE", where)}"\nrequest = DELETE\n')


@pytest.mark.after("nodes")
@pytest.mark.sites("kvm-tacc")
def test_the_volume_is_ours_and_in_use(site: Site) -> None:
    """By metadata, name and size."""
    found = [volume for volume in site.cloud.store.list_volumes() if volume.status == "in-use"]
    wanted = site.own.volume
    assert wanted is not None
    assert [(volume.name, volume.gib >= wanted.gib) for volume in found] == [
        (site.settings.name(site.name, "volume", 1), True)
    ]


@pytest.mark.sites("chi-uc")
def test_every_container_is_there_and_ours(site: Site) -> None:
    """No more and no fewer than the settings name."""
    assert {found.name for found in site.cloud.store.list_containers()} == set(containers(site.settings)), MARK


def test_a_host_writes_and_reads_with_the_shipped_key(site: Site, key: s3.Key, path: str) -> None:
    """The host sees signed URLs, never the key; nothing else opens the container."""
    put, get = s3.presigned(key, "PUT", path), s3.presigned(key, "GET", path)
    writing = f'url = "{put}"\nrequest = PUT\ndata-binary = "{TEXT}"\nfail\n'
    assert _curl(site, f'{writing}next\nurl = "{get}"\nfail\nsilent\n') == TEXT


def test_a_container_is_closed_to_any_other_key(site: Site, key: s3.Key, container: str) -> None:
    """Signed with another secret, the same request is refused."""
    url = s3.presigned(replace(key, secret="another"), "GET", f"/{container}/{OBJECT}")
    assert _curl(site, f'url = "{url}"\nwrite-out = "%{{http_code}}"\noutput = /dev/null\n') in REFUSED


def _curl(site: Site, config: str) -> str:
    """curl on the site's entry node; what to do comes through stdin, so that no signature is in argv."""
    return site.hosts.run(site.own.entry.name, ["curl", "-sS", "--max-time", "20", "-K", "-"], stdin=config).stdout
