"""What hosts of one site reach of the other: the object store, the public address, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from provision import s3
from provision.settings import Settings, load
from provision.site import Site

OBJECT = "tandem-verify"
TEXT = "written by a host with the shipped key"
SSH = 22


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One check a container of the settings."""
    if "container" in metafunc.fixturenames:
        settings = load(metafunc.config.getoption("env"))
        roles = [(name, role) for name, site in settings.sites.items() for role in site.containers]
        metafunc.parametrize("container", [settings.name(*pair) for pair in roles], ids=[role for _, role in roles])


@pytest.fixture(scope="module")
def key(settings: Settings) -> s3.Key:
    """The shipped key of the site with the object store."""
    home = settings.store_site
    return s3.KeyFile.of(settings, home).read()


@pytest.fixture
def path(site: Site, container: str, key: s3.Key) -> Iterator[str]:
    """Where a host of the site writes; removed whatever happens."""
    where = f"/{container}/{OBJECT}-{site.name}"
    yield where
    curl(site, f'url = "{s3.presigned(key, "DELETE", where)}"\nrequest = DELETE\n')


def test_a_host_writes_and_reads_with_the_shipped_key(site: Site, key: s3.Key, path: str) -> None:
    """The host sees signed URLs, never the key."""
    put, get = s3.presigned(key, "PUT", path), s3.presigned(key, "GET", path)
    writing = f'url = "{put}"\nrequest = PUT\ndata-binary = "{TEXT}"\nfail\n'
    assert curl(site, f'{writing}next\nurl = "{get}"\nfail\nsilent\n') == TEXT


def test_the_sites_meet_at_the_public_address(both: tuple[Site, Site]) -> None:
    """The link goes this way."""
    server, client = both
    assert connects(client, server.cloud.floating_address(), SSH, wait_s=5)


def test_the_sites_do_not_see_each_other_s_hosts(both: tuple[Site, Site]) -> None:
    """Private networks stay private."""
    server, client = both
    assert not connects(client, server.own.entry.address, SSH, wait_s=2)
    assert not connects(server, client.own.entry.address, SSH, wait_s=2)


def connects(site: Site, address: object, port: int, *, wait_s: float) -> bool:
    """Whether the site's entry node gets a TCP connection."""
    command = f"exec 3<>/dev/tcp/{address}/{port}"
    ended = site.hosts.run(site.own.entry.name, ["timeout", f"{wait_s:g}", "bash", "-c", command], ok=(0, 1, 124))
    return ended.code == 0


def curl(site: Site, config: str) -> str:
    """curl on the site's entry node; what to do comes through stdin, so that no signature is in argv."""
    return site.hosts.run(site.own.entry.name, ["curl", "-sS", "--max-time", "20", "-K", "-"], stdin=config).stdout
