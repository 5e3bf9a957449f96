"""What a check is asked about: parameters of `site`, `node`, `gpu`, `stage`, and the sites that an item concerns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from provision.settings import Settings
from provision.steps import NAMES, STEPS
from serving import stages

Rows = list[tuple[str, ...]]


def parametrise(metafunc: pytest.Metafunc, settings: Settings) -> None:
    """Give a check its parameters. `@pytest.mark.sites(...)` filters them; an unknown site there is an error."""
    own = [fixture for fixture in _ROWS if fixture in metafunc.fixturenames]
    check = metafunc.function.__name__
    if len(own) > 1:
        raise pytest.Collector.CollectError(f"{check}: asks for {' and '.join(own)}; a node's site is node.site")
    if own:
        mark = metafunc.definition.get_closest_marker("sites")
        rows = _ROWS[own[0]](settings, marked(check, mark.args if mark else tuple(settings.sites), settings))
        metafunc.parametrize(own[0], rows, ids=["-".join(row) for row in rows], indirect=True, scope="session")
    if "stage" in metafunc.fixturenames:
        found = stages.load()
        metafunc.parametrize("stage", found, ids=[stage.name for stage in found], indirect=True, scope="session")


def marked(check: str, names: Sequence[str], settings: Settings) -> list[str]:
    """The sites of a check, in the settings' order. Raises CollectError for one that does not exist."""
    unknown = [name for name in names if name not in settings.sites]
    if unknown or not names:
        there = ", ".join(settings.sites)
        raise pytest.Collector.CollectError(f"{check}: sites({', '.join(unknown)}): there are {there}")
    return [name for name in settings.sites if name in names]


def site_rows(settings: Settings, names: Sequence[str]) -> Rows:
    """Parameters of `site`."""
    return [(name,) for name in names]


def node_rows(settings: Settings, names: Sequence[str]) -> Rows:
    """Parameters of `node`."""
    return [(name, node.name) for name in names for node in settings.sites[name].nodes]


def gpu_rows(settings: Settings, names: Sequence[str]) -> Rows:
    """Parameters of `gpu`: the nodes that have some."""
    gpus = [(name, settings.sites[name].gpu) for name in names]
    return [(name, gpu.node) for name, gpu in gpus if gpu]


def sites_of(item: pytest.Item, settings: Settings) -> set[str]:
    """The sites that a check speaks about: its parameter's; the stages' is the link's client; else all."""
    spec = getattr(item, "callspec", None)
    params: Mapping[str, Any] = spec.params if spec else {}
    named = {params[fixture][0] for fixture in _ROWS if fixture in params}
    if "stage" in params:
        named.add(settings.link.client)
    return named or set(settings.sites)


def is_asked(item: pytest.Item, site: str, alone: bool, settings: Settings) -> bool:
    """Whether `--site` is about an item; alone: what speaks about other sites too is asked in their run."""
    spoken = sites_of(item, settings)
    return site in spoken and not (alone and len(spoken) > 1)


def due(item: pytest.Item, settings: Settings) -> str:
    """The step after which a check can run: the first at which all that it needs stands.

    That is the step whose CHECKS name its file, unless a fixture, `@pytest.mark.after(step)` or a second site
    needs more.
    """
    file = item.path.stem
    own = next((step.NAME for step in STEPS if file in step.CHECKS), NAMES[-1])
    fixtures = getattr(item, "fixturenames", ())
    needs = [own, *(step for fixture, step in _NEEDS.items() if fixture in fixtures)]
    needs += [step for mark in item.iter_markers("after") for step in mark.args]
    needs += ["tunnel"] if len(sites_of(item, settings)) > 1 else []
    return max(needs, key=NAMES.index)


# A host can be asked once it is up; a cluster likewise.
_NEEDS = {"node": "nodes", "key": "nodes", "cluster": "kubespray", "k8s": "kubespray", "stage": "charts"}
_ROWS = {"site": site_rows, "node": node_rows, "gpu": gpu_rows}
