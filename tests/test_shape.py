"""Every step has the same shape: the protocol, a runbook, cases as data, checks that exist. A newcomer starts here."""

from __future__ import annotations

import inspect
import re
import tomllib
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

from provision.settings import ROOT
from provision.step import AnyStep, Change, Step
from provision.steps import NAMES, STEPS

ORDER = ("lease", "storage", "network", "nodes", "kubespray", "secrets", "tunnel", "charts")
MEMBERS = [name for name in vars(Step) if not name.startswith("_")]
HEADINGS = ("Meaning", "Look", "Recover", "Undo")
LONGEST = 150
CASES = ROOT / "tests" / "steps" / "cases"

step = pytest.mark.parametrize("step", STEPS, ids=NAMES)


def test_the_steps_are_those_of_the_design_in_their_order() -> None:
    assert NAMES == ORDER


def test_the_tasks_offer_every_step() -> None:
    """The collection repeats the names, because importing the steps would make `invoke --list` slow."""
    found = re.search(r"^STEP_NAMES = \((.*)\)$", (ROOT / "invocation" / "provisioning.py").read_text(), re.MULTILINE)
    assert found is not None
    assert tuple(re.findall(r'"([a-z]+)"', found.group(1))) == ORDER


@step
def test_a_step_has_every_member_of_the_protocol(step: AnyStep) -> None:
    assert [name for name in MEMBERS if not hasattr(step, name)] == []


@step
def test_a_step_is_called_like_its_file(step: AnyStep) -> None:
    assert Path(source(step)).stem == step.NAME


@step
def test_a_step_is_short(step: AnyStep) -> None:
    lines = len(Path(source(step)).read_text().splitlines())
    assert lines <= LONGEST, f"{step.NAME}: {lines} lines; move what is not the step's shape beside it"


@step
def test_a_step_s_docstring_is_its_runbook(step: AnyStep) -> None:
    text = inspect.getdoc(step) or ""
    assert [word for word in HEADINGS if not re.search(rf"^{word}\b", text, re.MULTILINE)] == []


@step
def test_a_step_needs_only_earlier_steps(step: AnyStep) -> None:
    assert set(step.NEEDS) <= set(ORDER[: ORDER.index(step.NAME)])


@step
def test_only_the_tunnel_waits_for_the_other_site(step: AnyStep) -> None:
    assert (step.NAME == "tunnel") == step.JOINS


@step
def test_a_step_s_waits_are_bounded(step: AnyStep) -> None:
    assert 0 < step.DEADLINE_S <= 3600
    assert 0 <= step.SETTLE_S <= step.DEADLINE_S


@step
def test_a_step_is_proven_by_checks_that_exist(step: AnyStep) -> None:
    assert f"check_{step.NAME}" in step.CHECKS
    assert [name for name in step.CHECKS if not (ROOT / "verify" / f"{name}.py").is_file()] == []


@step
def test_a_step_has_a_case_with_changes_and_one_without(step: AnyStep) -> None:
    names = {path.stem for path in (CASES / step.NAME).glob("*.toml")}
    assert [kind for kind in ("create", "noop") if not any(name.startswith(kind) for name in names)] == []


@step
def test_what_is_looked_at_is_plain_frozen_data(step: AnyStep) -> None:
    nothing = step.NOTHING
    assert is_dataclass(nothing)
    assert vars(type(nothing))["__dataclass_params__"].frozen


@step
def test_a_step_never_asks_which_environment_it_is_in(step: AnyStep) -> None:
    text = Path(source(step)).read_text()
    assert (
        re.findall(
            r"\bsettings\.env\b|[\"'](?:rehearsal|chameleon)[\"']|\bembedded\b|^(?:from|import) rehearsal",
            text,
            re.MULTILINE,
        )
        == []
    )


def test_every_case_belongs_to_a_step_and_is_toml() -> None:
    paths = sorted(CASES.glob("*/*.toml"))
    assert paths
    assert [path for path in paths if path.parent.name not in ORDER or not tomllib.loads(path.read_text())] == []


@pytest.mark.parametrize("path", sorted((ROOT / "verify").glob("check_*.py")), ids=lambda path: path.stem)
def test_a_check_file_checks_something_and_hides_nothing(path: Path) -> None:
    text = path.read_text()
    assert re.findall(r"^def (test_\w+)", text, re.MULTILINE)
    assert re.findall(r"pytest\.(?:skip|importorskip|xfail|mark\.(?:skip|skipif|xfail))\b", text) == []


@pytest.mark.parametrize("path", sorted((ROOT / "verify").glob("check_*.py")), ids=lambda path: path.stem)
def test_a_check_file_is_an_area_of_nox(path: Path) -> None:
    """Else `nox -s verify` would quietly leave it out."""
    assert f'"{path.stem.removeprefix("check_")}"' in (ROOT / "noxfile.py").read_text()


def test_a_change_is_data_that_can_be_compared() -> None:
    assert Change("create", "server a", "have 0, want 1") == Change("create", "server a", "have 0, want 1")
    assert [field.name for field in fields(Change)] == ["verb", "what", "why", "args", "data"]


def source(step: AnyStep) -> str:
    """The file of a step's module."""
    return str(getattr(step, "__file__", ""))
