"""What all drills share: the command line, the clouds' own lists, and the rule that a platform is left verified.

Fixtures, options and the verdict of ../conftest.py hold here too: pytest.ini names it as a plugin.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from provision.engine import open_sites
from provision.settings import Settings, load
from provision.site import Site
from provision.state import Run
from verify.drills.cli import Cli
from verify.drills.listing import Listing, listing


def pytest_addoption(parser: pytest.Parser) -> None:
    """--allow breaks."""
    parser.getgroup("tandem").addoption("--allow", default="", help="breaks: drill a platform that costs something")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Outside an embedded environment nothing is broken unless told so."""
    settings = load(session.config.getoption("env"))
    if settings.spends and session.config.getoption("allow") != "breaks":
        raise pytest.UsageError(f"drills break things: platform {settings.platform} is a paid one; say --allow breaks")


@pytest.fixture(scope="session")
def cli(settings: Settings, run: Run) -> Cli:
    """`invoke` and the checks."""
    return Cli(settings, run)


@pytest.fixture(scope="module", autouse=True)
def left_verified(cli: Cli) -> Iterator[None]:
    """Before a drill the platform stands; after it every check is green again."""
    cli.must("provision.all", deadline="drill.converge_deadline_s")
    yield
    cli.must_verify()


@pytest.fixture
def doors(settings: Settings, run: Run) -> Mapping[str, Site]:
    """All sites, opened anew: a drill may have given them other addresses."""
    return open_sites(settings, run)


@pytest.fixture
def clouds(settings: Settings) -> Mapping[str, Listing]:
    """What each cloud lists."""
    return {name: listing(settings, name) for name in settings.sites}
