"""The steps, in order. One typed line each, so that mypy names the step and the missing member."""

from __future__ import annotations

from provision.step import AnyStep, Step
from provision.steps import charts as _charts
from provision.steps import kubespray as _kubespray
from provision.steps import lease as _lease
from provision.steps import network as _network
from provision.steps import nodes as _nodes
from provision.steps import secrets as _secrets
from provision.steps import storage as _storage
from provision.steps import tunnel as _tunnel

lease: Step[_lease.Want, _lease.Have] = _lease
storage: Step[_storage.Want, _storage.Have] = _storage
network: Step[_network.Want, _network.Have] = _network
nodes: Step[_nodes.Want, _nodes.Have] = _nodes
kubespray: Step[_kubespray.Want, _kubespray.Have] = _kubespray
secrets: Step[_secrets.Want, _secrets.Have] = _secrets
tunnel: Step[_tunnel.Want, _tunnel.Have] = _tunnel
charts: Step[_charts.Want, _charts.Have] = _charts

STEPS: tuple[AnyStep, ...] = (lease, storage, network, nodes, kubespray, secrets, tunnel, charts)
NAMES: tuple[str, ...] = tuple(step.NAME for step in STEPS)
