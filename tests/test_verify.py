"""The rules around the live checks, without anything live: targets, what is due, verdict, budgets, figures."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from provision.settings import ROOT, Settings, load
from verify import board, budgets, check_gpu, gpu_pods, needles, targets, timing
from verify.board import Board, Row


@pytest.fixture
def settings() -> Settings:
    return load("rehearsal")


def report(outcome: str, when: str = "call", **extra: Any) -> pytest.TestReport:
    made = pytest.TestReport(
        "verify/check_x.py::test_y[kvm-tacc]",
        ("", 0, ""),
        {},
        cast(Any, outcome),
        None,
        cast(Any, when),
        duration=1.0,
        user_properties=extra.pop("user_properties", ()),
    )
    for name, value in extra.items():
        setattr(made, name, value)
    return made


def item(**params: Any) -> pytest.Item:
    return cast(pytest.Item, SimpleNamespace(callspec=SimpleNamespace(params=params)) if params else SimpleNamespace())


# targets


@pytest.mark.parametrize(
    ("file", "fixtures", "params", "step"),
    [
        ("check_storage", ("site",), {"site": ("chi-uc",)}, "storage"),
        ("check_storage", ("key", "site"), {"site": ("chi-uc",)}, "nodes"),
        ("check_network", ("node",), {"node": ("kvm-tacc", "node1")}, "nodes"),
        ("check_network", ("both",), {}, "tunnel"),
        ("check_onnx", ("stage",), {"stage": None}, "charts"),
        ("check_sealed", ("settings",), {}, "charts"),
    ],
)
def test_a_check_is_due_after_the_first_step_at_which_all_it_needs_stands(
    file: str, fixtures: tuple[str, ...], params: dict[str, Any], step: str, settings: Settings
) -> None:
    asked = SimpleNamespace(
        path=Path(f"{file}.py"),
        fixturenames=fixtures,
        iter_markers=lambda _name: iter(()),
        callspec=SimpleNamespace(params=params),
    )
    assert targets.due(cast(pytest.Item, asked), settings) == step


def test_a_check_is_asked_at_every_site_node_and_gpu(settings: Settings) -> None:
    names = list(settings.sites)
    assert targets.site_rows(settings, names) == [("kvm-tacc",), ("chi-uc",)]
    assert len(targets.node_rows(settings, names)) == 4
    assert targets.gpu_rows(settings, names) == [("chi-uc", "gpu1")]


def test_marked_sites_filter_and_keep_the_settings_order(settings: Settings) -> None:
    assert targets.marked("test_x", ("chi-uc", "kvm-tacc"), settings) == ["kvm-tacc", "chi-uc"]


@pytest.mark.parametrize("names", [("kvm-tac",), ()])
def test_a_mark_that_names_no_site_is_an_error(settings: Settings, names: tuple[str, ...]) -> None:
    with pytest.raises(pytest.Collector.CollectError, match="there are kvm-tacc, chi-uc"):
        targets.marked("test_x", names, settings)


@pytest.mark.parametrize(
    ("params", "sites"),
    [
        ({"site": ("kvm-tacc",)}, {"kvm-tacc"}),
        ({"node": ("kvm-tacc", "node2")}, {"kvm-tacc"}),
        ({"gpu": ("chi-uc", "gpu1")}, {"chi-uc"}),
        ({"stage": "testing"}, {"chi-uc"}),
        ({}, {"kvm-tacc", "chi-uc"}),
    ],
)
def test_a_check_speaks_about_the_sites_of_its_parameters(
    settings: Settings, params: dict[str, Any], sites: set[str]
) -> None:
    assert targets.sites_of(item(**params), settings) == sites


# verdict


def test_a_run_of_nothing_is_red() -> None:
    assert board.verdict([]) == "nothing was checked"


@pytest.mark.parametrize("outcome", ["failed", "error", "skipped", "xfailed"])
def test_anything_but_passed_is_red_and_named(outcome: str) -> None:
    rows = [Row("a", "passed", 0.1), Row("b", outcome, 0.1)]
    assert board.verdict(rows) == f"{outcome}: b"


def test_all_passed_is_green() -> None:
    assert board.verdict([Row("a", "passed", 0.1)]) == ""


@pytest.mark.parametrize(
    ("reports", "outcome"),
    [
        ([report("passed", "setup"), report("passed"), report("passed", "teardown")], "passed"),
        ([report("passed", "setup"), report("failed"), report("passed", "teardown")], "failed"),
        ([report("failed", "setup"), report("passed", "teardown")], "error"),
        ([report("passed", "setup"), report("passed"), report("failed", "teardown")], "error"),
        ([report("skipped", "setup"), report("passed", "teardown")], "skipped"),
        ([report("passed", "setup"), report("skipped", wasxfail="known")], "xfailed"),
        ([report("passed", "setup"), report("passed", wasxfail="known")], "xfailed"),
    ],
)
def test_the_worst_phase_of_a_check_counts(reports: list[pytest.TestReport], outcome: str) -> None:
    found = Board(())
    for each in reports:
        found.pytest_runtest_logreport(each)
    assert [row.outcome for row in found.rows.values()] == [outcome]


@pytest.mark.parametrize(
    ("rows", "elsewhere", "before", "after"),
    [
        (["passed"], 0, 0, 0),
        (["passed", "skipped"], 0, 0, 1),
        (["skipped"], 0, 0, 1),
        ([], 0, 5, 1),
        ([], 3, 5, 5),
        (["failed"], 0, 1, 1),
        ([], 0, 4, 4),
    ],
)
def test_exit_status(rows: list[str], elsewhere: int, before: int, after: int) -> None:
    """5: everything collected speaks about a site that was not asked for; never 0 when nothing passed."""
    found = Board(
        (),
        rows={str(number): Row(str(number), outcome, 0.0) for number, outcome in enumerate(rows)},
        elsewhere=elsewhere,
    )
    session = SimpleNamespace(exitstatus=pytest.ExitCode(before))
    found.pytest_sessionfinish(cast(pytest.Session, session))
    assert session.exitstatus == after


def test_figures_stand_beside_the_check() -> None:
    row = board.merged(None, report("passed", user_properties=[("figure", "p95 12 ms"), ("other", 1)]))
    assert board.line(row) == "passed     1.00s verify/check_x.py::test_y[kvm-tacc]   p95 12 ms"


# what a red check shows


def test_a_value_of_the_vault_is_replaced_by_its_name() -> None:
    held = needles.Needles({"s3-mlflow/secret": "a-secret-of-32-letters"})
    assert held.hidden("Key(secret='a-secret-of-32-letters')") == "Key(secret='<s3-mlflow/secret>')"
    assert "a-secret" not in repr(held)


def test_what_speaks_about_both_sites_is_left_to_the_other_run_only_when_told(settings: Settings) -> None:
    shared, own = item(), item(site=("chi-uc",))
    assert targets.is_asked(shared, "chi-uc", False, settings)
    assert not targets.is_asked(shared, "chi-uc", True, settings)
    assert targets.is_asked(own, "chi-uc", True, settings)


# budgets


def test_a_budget_of_the_environment_wins(tmp_path: Path) -> None:
    path = tmp_path / "budgets.toml"
    path.write_text("[onnx]\np95_ms = 10\nn = 40\n[rehearsal.onnx]\np95_ms = 99\n[settled.onnx]\np95_ms = 50\n")
    assert budgets.read("onnx.p95_ms", env="rehearsal", path=path) == 99
    assert budgets.read("onnx.p95_ms", env="chameleon", path=path) == 10
    assert budgets.read("onnx.n", env="rehearsal", settled=True, path=path) == 40
    assert budgets.read("onnx.p95_ms", env="rehearsal", settled=True, path=path) == 50
    path.write_text(f"{path.read_text()}[settled.rehearsal.onnx]\np95_ms = 70\n")
    assert budgets.read("onnx.p95_ms", env="rehearsal", settled=True, path=path) == 70
    assert budgets.read("onnx.p95_ms", env="chameleon", settled=True, path=path) == 50


@pytest.mark.parametrize("key", ["onnx", "onnx.p99_ms", "nothing.at.all", "onnx.flag", "onnx.word"])
def test_a_budget_that_is_no_number_names_file_and_key(tmp_path: Path, key: str) -> None:
    path = tmp_path / "budgets.toml"
    path.write_text('[onnx]\np95_ms = 10\nflag = true\nword = "10"\n')
    with pytest.raises(KeyError, match=f"budgets.toml -> {key} -> expected a number"):
        budgets.read(key, path=path)


def test_every_budget_that_is_asked_for_is_there() -> None:
    text = "\n".join(path.read_text() for path in (ROOT / "verify").rglob("*.py"))
    asked = set(re.findall(r"""budgets?(?:\.read)?\(["']([a-z_]+\.[a-z0-9_]+)["']""", text))
    assert asked
    assert [key for key in sorted(asked) if not isinstance(budgets.read(key), float)] == []


# figures


def test_shares_of_live_pods_are_counted() -> None:
    def asking(name: str, shares: str, phase: str = "Running", node: str = "gpu1") -> dict[str, Any]:
        limits = {"limits": {gpu_pods.RESOURCE: shares}} if shares else {}
        return {
            "metadata": {"namespace": "serving", "name": name},
            "status": {"phase": phase},
            "spec": {"nodeName": node, "containers": [{"resources": limits}, {}]},
        }

    pods = [
        asking("a", "1"),
        asking("b", "2"),
        asking("done", "1", "Succeeded"),
        asking("none", ""),
        asking("c", "1", node=""),
    ]
    assert check_gpu.shares_asked(pods) == {"serving/a": 1, "serving/b": 2, "serving/none": 0, "serving/c": 1}
    assert "serving/c" not in check_gpu.placed(pods)


def test_a_simulated_card_is_never_hidden(settings: Settings) -> None:
    card = settings.sites["chi-uc"].gpu
    assert card is not None
    assert check_gpu.told(card, "6 shares") == "GPU: simulated; 6 shares"
    assert check_gpu.told(card.model_copy(update={"simulated": False}), "6 shares") == "6 shares"


@pytest.mark.parametrize(
    ("measured", "seen"),
    [([3], [3]), ([9, 4], [9, 4]), ([9, 8, 7, 1], [9, 8, 7]), ([9, 8, 4, 1], [9, 8, 4])],
    ids=["at-once", "the-second", "never", "the-last"],
)
def test_what_took_too_long_is_tried_again_but_not_for_ever(measured: list[int], seen: list[int]) -> None:
    rest = iter(measured)
    assert timing.tried(lambda: next(rest), lambda value: value <= 5, tries=3) == seen


@pytest.mark.parametrize(("bound_ms", "quick", "worked"), [(60_000.0, True, 1), (-1.0, False, 3)])
def test_the_time_of_every_try_is_told(bound_ms: float, quick: bool, worked: int) -> None:
    times: list[None] = []
    within, told = timing.within(lambda: times.append(None), bound_ms, tries=3)
    assert (within, len(times), told.count(" then ")) == (quick, worked, worked - 1)
    assert told.endswith(f" ms, at most {bound_ms:.0f}")


def test_work_that_fails_is_not_tried_again() -> None:
    times: list[None] = []

    def work() -> None:
        times.append(None)
        raise AssertionError("wrong, not slow")

    with pytest.raises(AssertionError, match="wrong, not slow"):
        timing.within(work, 60_000.0, tries=3)
    assert len(times) == 1
