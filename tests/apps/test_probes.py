"""No probe of ours ends what is only slow: on a machine that starves, every restart makes the others slower still."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from provision.settings import ROOT

LEAST_S = {"livenessProbe": 180, "startupProbe": 300}  # that a process has, however slow, before it is ended
LEAST_TIMEOUT_S = {"livenessProbe": 10, "startupProbe": 5}
PROBE = re.compile(r"^( *)(livenessProbe|startupProbe):\n((?:\1 +\S.*\n)+)", re.MULTILINE)
DEFAULTS = {"periodSeconds": 10, "timeoutSeconds": 1, "failureThreshold": 3}  # Kubernetes'


def probes() -> Iterator[tuple[str, str, dict[str, int]]]:
    for path in sorted((ROOT / "apps").rglob("chart/templates/*.yaml")):
        for _, kind, block in PROBE.findall(path.read_text()):
            told = {name: int(value) for name, value in re.findall(r"(\w+): (\d+)$", block, re.MULTILINE)}
            yield path.parts[-4] + "/" + path.name, kind, DEFAULTS | told


FOUND = list(probes())


def test_there_are_probes_to_judge() -> None:
    assert {kind for _, kind, _ in FOUND} == set(LEAST_S) and len(FOUND) > 20


@pytest.mark.parametrize(
    ("where", "kind", "told"), FOUND, ids=lambda value: str(value) if isinstance(value, str) else ""
)
def test_a_slow_process_is_given_time(where: str, kind: str, told: dict[str, int]) -> None:
    assert told["periodSeconds"] * told["failureThreshold"] >= LEAST_S[kind], where
    assert told["timeoutSeconds"] >= LEAST_TIMEOUT_S[kind], where
