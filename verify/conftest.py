"""Fixtures of the live checks, and the rules around them.

* A target is always named: the environment's settings say which sites and hosts there are; nothing runs on localhost.
* Checks are parametrised by site, node, GPU or stage; `@pytest.mark.sites(...)` filters parameters instead of skipping.
* `--site` leaves out what speaks about other sites only; a check of `both` sites runs when either is asked for.
* A failure collects evidence (evidence.py) and shows no value of the vault (needles.py).
* A run in which nothing passed or anything was skipped is red (board.py).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from provision.engine import open_sites
from provision.errors import PlatformError
from provision.settings import Settings, cache_dir, load
from provision.site import Site
from provision.state import Run
from serving import stages
from verify import budgets, evidence, needles, record, side, targets
from verify.board import FIGURE, Board
from verify.nodes import NodeUnderTest, under_test

SETTINGS = pytest.StashKey[Settings]()
RUN = pytest.StashKey[Run]()
BOARD = pytest.StashKey[Board]()
OWN = pytest.StashKey[bool]()  # the run folder is this verification's own


def pytest_addoption(parser: pytest.Parser) -> None:
    """--env, --site, --step, --alone, --run-dir, --settled."""
    group = parser.getgroup("tandem")
    group.addoption("--env", default="", help="environment (default: TANDEM_ENV, else rehearsal)")
    group.addoption("--site", default="", help="one site (default: all)")
    group.addoption("--step", default="", help="only what is due right after this step (default: all)")
    group.addoption("--alone", action="store_true", help="with --site: leave what speaks about both to the other's run")
    group.addoption("--run-dir", default="", help="an existing run folder <state>/runs/<utc> (default: a new one)")
    group.addoption(
        "--settled", action="store_true", help="the platform has stood for a while: wait for nothing to come up"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Load the settings once (a wrong environment or site ends here); the platform's own tools come first on PATH."""
    os.environ["PATH"] = f"{cache_dir() / 'tools'}{os.pathsep}{os.environ.get('PATH', '')}"
    try:
        settings = load(config.getoption("env"))
    except PlatformError as error:
        raise pytest.UsageError(str(error)) from error
    if (asked := config.getoption("site")) and asked not in settings.sites:
        raise pytest.UsageError(f"no site {asked!r}; there are: {', '.join(settings.sites)}")
    board = Board(settings.caveats, collect_only=config.getoption("collectonly"))
    config.stash[SETTINGS] = settings
    config.stash[BOARD] = board
    config.pluginmanager.register(side.Gathered(board), "tandem-gathered")
    if side.is_worker(config):
        return
    config.pluginmanager.register(board, "tandem-board")
    config.stash[OWN] = record.is_own(config)
    if config.stash[OWN]:
        record.begin(config, run_of(config), settings)


def pytest_unconfigure(config: pytest.Config) -> None:
    """After JUnit is written."""
    if config.stash.get(OWN, False):
        record.end(run_of(config), config.stash[SETTINGS])


def pytest_report_header(config: pytest.Config) -> list[str]:
    """What is being checked."""
    settings = config.stash[SETTINGS]
    asked = config.getoption("site") or ", ".join(settings.sites)
    return [f"tandem: platform {settings.platform}, environment {settings.env}, sites {asked}"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The parameters of site, node, gpu and stage, from the settings."""
    targets.parametrise(metafunc, metafunc.config.stash[SETTINGS])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With `--step`, what is due after it; with `--site`, leave out what speaks about other sites only."""
    settings = config.stash[SETTINGS]
    items[:] = side.longest_first(items)
    step = config.getoption("step")
    if step:
        later = [item for item in items if targets.due(item, settings) != step]
        items[:] = [item for item in items if targets.due(item, settings) == step]
        config.hook.pytest_deselected(items=later)
    asked = config.getoption("site")
    if not asked:
        return
    alone = bool(config.getoption("alone"))
    elsewhere = [item for item in items if not targets.is_asked(item, asked, alone, settings)]
    items[:] = [item for item in items if targets.is_asked(item, asked, alone, settings)]
    config.stash[BOARD].elsewhere = len(elsewhere)
    config.hook.pytest_deselected(items=elsewhere)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """A foreseen failure shows its what/why/log/next; every failure of a check leaves evidence."""
    report = yield
    if call.excinfo is not None and isinstance(call.excinfo.value, PlatformError):
        report.longrepr = str(call.excinfo.value)
    if report.longrepr is not None:
        report.longrepr = needles.without(str(report.longrepr), item.config.stash[SETTINGS])
    if report.failed and report.when != "teardown":
        folder = run_of(item.config).folder / "evidence"
        told = evidence.collect(_sites_under_test(item), folder, item.nodeid, env=item.config.stash[SETTINGS].env)
        report.sections.append(("evidence", told))
    return report


def run_of(config: pytest.Config) -> Run:
    """This run's folder, made when first needed."""
    if RUN not in config.stash:
        given = Path(config.getoption("run_dir"))  # <state>/runs/<utc>
        state_dir = config.stash[SETTINGS].state_dir
        config.stash[RUN] = Run(given.parent.parent, given.name) if given != Path() else Run(state_dir)
    return config.stash[RUN]


@pytest.fixture(scope="session")
def settings(request: pytest.FixtureRequest) -> Settings:
    """The environment's settings."""
    return request.config.stash[SETTINGS]


@pytest.fixture(scope="session")
def run(request: pytest.FixtureRequest) -> Run:
    """This run's folder."""
    return run_of(request.config)


@pytest.fixture(scope="session")
def sites(settings: Settings, run: Run) -> Mapping[str, Site]:
    """The doors of all sites; nothing is contacted yet."""
    return open_sites(settings, run)


@pytest.fixture(scope="session")
def site(request: pytest.FixtureRequest, sites: Mapping[str, Site]) -> Site:
    """One site; id: its name."""
    return sites[request.param[0]]


@pytest.fixture(scope="session")
def node(request: pytest.FixtureRequest, sites: Mapping[str, Site]) -> NodeUnderTest:
    """One host; id: `<site>-<node>`."""
    return under_test(sites[request.param[0]], request.param[1])


@pytest.fixture(scope="session")
def gpu(request: pytest.FixtureRequest, sites: Mapping[str, Site]) -> NodeUnderTest:
    """One host that has GPUs; id: `<site>-<node>`."""
    return under_test(sites[request.param[0]], request.param[1])


@pytest.fixture(scope="session")
def both(settings: Settings, sites: Mapping[str, Site]) -> tuple[Site, Site]:
    """The link's server site and its client site."""
    return sites[settings.link.server], sites[settings.link.client]


@pytest.fixture(scope="session")
def stage(request: pytest.FixtureRequest) -> stages.Stage:
    """One serving stage; id: its name."""
    return cast(stages.Stage, request.param)


@pytest.fixture(scope="session")
def budget(request: pytest.FixtureRequest, settings: Settings) -> Callable[[str], float]:
    """budget("onnx.cosine_min"): a number of budgets.toml."""
    settled = bool(request.config.getoption("settled"))
    return lambda key: budgets.read(key, env=settings.env, settled=settled)


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """figure("p95 12 ms, n 40"): shown beside the check in the summary, and kept in junit.xml."""
    return lambda text: record_property(FIGURE, text)


@pytest.fixture(scope="session")
def cluster(site: Site) -> Any:
    """kr8s against the site's cluster."""
    import kr8s  # costs a second; only the checks that ask for it pay

    return kr8s.api(kubeconfig=str(site.kube.connect()))


@pytest.fixture(scope="session")
def k8s(site: Site, k8s_manager: Callable[[str], Any]) -> Any:
    """pytest-kubernetes' EXTERNAL provider on our kubeconfig.

    Replaces the plugin's fixture of this name, whose end is delete(): that would remove our kubeconfig file.
    """
    manager = k8s_manager("external")(f"tandem-{site.name}", kubeconfig=site.kube.connect())
    manager.create(timeout=20)
    return manager


@pytest.fixture(scope="session")
def namespaced(request: pytest.FixtureRequest) -> Iterator[Callable[[Site], str]]:
    """namespaced(site): a namespace of this process's own there; removed, with all in it, when the run ends."""
    name, made = side.namespace(request.config), dict[str, Site]()

    def remove(site: Site, *more: str) -> None:
        site.kube.run("delete", "namespace", name, "--ignore-not-found", *more, deadline_s=70.0)

    def make(site: Site) -> str:
        if site.name not in made:
            made[site.name] = site
            remove(site)  # what a killed run left
            site.kube.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}])
        return name

    yield make
    for site in made.values():
        remove(site, "--wait=false")
    for site in made.values():
        remove(site)


def _sites_under_test(item: pytest.Item) -> list[Site]:
    """The opened sites that a failed check speaks about; none when the sites themselves could not be opened."""
    held: dict[str, Any] = getattr(item, "funcargs", {})
    opened: Mapping[str, Site] = held.get("sites") or _opened(item)
    return [opened[name] for name in opened if name in targets.sites_of(item, item.config.stash[SETTINGS])]


def _opened(item: pytest.Item) -> Mapping[str, Site]:
    """Sites are cheap to open, and a check whose fixtures failed still deserves evidence."""
    try:
        return open_sites(item.config.stash[SETTINGS], run_of(item.config))
    except PlatformError:
        return {}
