"""Every step's decisions as data: settings + facts -> changes. Run: `pytest tests/steps`.

A case is tests/steps/cases/<step>/<name>.toml; `create.toml` and `noop.toml` are obligatory for every step.

    site = "kvm-tacc"                   # whose plan; both sites of the rehearsal exist
    environment = "rehearsal"           # whose file the settings start from (this is the default)
    platform = "case"                   # the platform's name, hence all names (this is the default)
    like = "noop"                       # start from the facts of another case of this step (optional)

    [settings]                          # laid over the environment's file, table by table (optional)
    sites.kvm-tacc.volume.gib = 60

    [facts]                             # the step's Have, field by field; laid over `like`'s; absent: NOTHING
    key = { name = "case-kvm-tacc-key", public_key = "ssh-ed25519 AAAA" }

    [[changes]]                         # what plan answers, in order; none: the plan is empty
    verb = "create"                     # obligatory
    what = "server case-kvm-tacc-node-1"    # obligatory
    why = "have 0, want 1"              # compared when given
    args = { id = "1" }                 # compared when given
    data = false                        # compared when given

    [[undo]]                            # what undo answers, in the same form; compared when given
    [refused]                           # instead of changes: plan raises this
    error = "PreconditionMissing"       # a class of provision/errors.py
    what = "nearly over"                # part of each text, when given
    why = "2.0 hours left"
    next = "invoke lease.extend"

Where a list of `like` must change in one place, give the whole list. `facts = "nothing"` asks for NOTHING explicitly.
Addresses are strings. Unknown keys are errors, so that a typo cannot make a case pass.
"""

from __future__ import annotations

import dataclasses
import importlib
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from provision import errors, settings
from provision.errors import PlatformError
from provision.settings import ENVIRONMENTS, Settings
from provision.step import AnyStep, Change
from tests.steps.facts import build

APPS = "tests/steps/apps"  # a few applications of their own, so that a new one of the platform changes no case
CASES = Path(__file__).parent / "cases"
FILES = sorted(CASES.glob("*/*.toml"))
KEYS = {"site", "environment", "platform", "like", "settings", "facts", "changes", "undo", "refused"}
CHANGE_KEYS = {"verb", "what", "why", "args", "data"}

cases = pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")


@cases
def test_the_plan_is_as_written(path: Path) -> None:
    case = read(path)
    step = step_of(path)
    want = step.want(settings_of(case), case["site"])
    have = facts_of(path, case, step)
    if "refused" in case:
        refused(case["refused"], lambda: step.plan(want, have))
    else:
        compare(case.get("changes", []), step.plan(want, have))
    if "undo" in case:
        compare(case["undo"], step.undo(have))


@cases
def test_the_same_facts_give_the_same_plan_twice(path: Path) -> None:
    """plan is pure: it neither remembers nor changes its facts."""
    case = read(path)
    step = step_of(path)
    if "refused" in case:
        return
    want, have = step.want(settings_of(case), case["site"]), facts_of(path, case, step)
    assert list(step.plan(want, have)) == list(step.plan(want, have))


def read(path: Path) -> dict[str, Any]:
    """A case's table. Unknown keys are errors."""
    case = tomllib.loads(path.read_text())
    assert set(case) <= KEYS, f"{path.name}: unknown {sorted(set(case) - KEYS)}; known: {sorted(KEYS)}"
    assert "site" in case, f"{path.name}: no site"
    assert "changes" not in case or "refused" not in case, f"{path.name}: changes and refused exclude each other"
    return case


def step_of(path: Path) -> AnyStep:
    """The step that a case's folder is named after."""
    return cast(AnyStep, importlib.import_module(f"provision.steps.{path.parent.name}"))


def settings_of(case: Mapping[str, Any]) -> Settings:
    """The environment's file with the case's settings laid over it."""
    name = case.get("environment", "rehearsal")
    table = tomllib.loads((ENVIRONMENTS / f"{name}.toml").read_text())
    over = {"platform": case.get("platform", "case"), "apps": APPS, **case.get("settings", {})}
    return settings.Settings.model_validate({"env": name, **laid_over(table, over)})


def facts_of(path: Path, case: Mapping[str, Any], step: AnyStep) -> Any:
    """The step's Have."""
    table = facts_table(path, case)
    return build(type(step.NOTHING), table) if table else step.NOTHING


def facts_table(path: Path, case: Mapping[str, Any]) -> dict[str, Any]:
    """The facts as TOML says them, over those of `like`."""
    under = facts_table(path, read(path.with_name(f"{case['like']}.toml"))) if "like" in case else {}
    facts = case.get("facts", {})
    return {} if facts == "nothing" else laid_over(under, facts)


def laid_over(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Tables are merged, everything else is replaced."""
    merged = dict(under)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = laid_over(merged[key], value) if both else value
    return merged


def compare(written: Sequence[Mapping[str, Any]], found: Sequence[Change]) -> None:
    """Same changes in the same order; of each, what the case names."""
    assert [f"{change['verb']} {change['what']}" for change in written] == [f"{c.verb} {c.what}" for c in found]
    for expected, change in zip(written, found, strict=True):
        assert set(expected) <= CHANGE_KEYS
        seen = {field.name: getattr(change, field.name) for field in dataclasses.fields(change)}
        seen["args"] = dict(change.args)
        assert {key: seen[key] for key in expected} == dict(expected)


def refused(expected: Mapping[str, str], plan: Any) -> None:
    """plan raises the named class, with these words in its texts."""
    kind = getattr(errors, expected["error"])
    with pytest.raises(PlatformError) as caught:
        plan()
    assert type(caught.value) is kind
    for name in ("what", "why", "next"):
        assert expected.get(name, "") in getattr(caught.value, name)
