"""The live side of the contract: which environment, whether it may write, where the exchange is kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from provision.clouds.openstack import OpenStackCloud
from provision.clouds.recorder import Recorder, renamed
from provision.errors import PlatformError
from provision.settings import Settings, load
from provision.state import write_atomic
from verify.contract.promises import PROMISES, WRITES, name_of


def pytest_addoption(parser: pytest.Parser) -> None:
    """--env, --site, --writes, --record."""
    group = parser.getgroup("tandem")
    group.addoption("--env", default="", help="environment (default: TANDEM_ENV, else rehearsal)")
    group.addoption("--site", default="", help="one site (default: all)")
    group.addoption("--writes", action="store_true", help="also what makes something, and removes it; costs nothing")
    group.addoption("--record", default="", help="a folder: keep what was said there, scrubbed, as <site>.json")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every promise at every site."""
    config = metafunc.config
    if "promise" in metafunc.fixturenames:
        promises = (*PROMISES, *(WRITES if config.getoption("writes") else ()))
        metafunc.parametrize("promise", promises, ids=name_of)
    if "site_name" in metafunc.fixturenames:
        try:
            sites = list(load(config.getoption("env")).sites)
        except PlatformError as error:
            raise pytest.UsageError(str(error)) from error
        asked = config.getoption("site")
        if asked and asked not in sites:
            raise pytest.UsageError(f"no site {asked!r}; there are: {', '.join(sites)}")
        metafunc.parametrize("site_name", [asked] if asked else sites, scope="session")


@pytest.fixture(scope="session")
def settings(request: pytest.FixtureRequest) -> Settings:
    """Of the environment asked for."""
    return load(request.config.getoption("env"))


@pytest.fixture(scope="session")
def cloud(request: pytest.FixtureRequest, settings: Settings, site_name: str) -> Iterator[OpenStackCloud]:
    """One site, over a transport that remembers. All promises share one login: a refused one is not tried again."""
    recorder = Recorder()
    yield OpenStackCloud(settings, site_name, recorder.session())
    folder = request.config.getoption("record")
    if folder:
        told = json.dumps(recorder.rows, indent=1, sort_keys=True)
        write_atomic(Path(folder) / f"{site_name}.json", renamed(told, settings.platform, settings.sites), mode=0o644)
