"""A secret gets a new value while MLflow is asked four times a second: what it costs, and that a killed run goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from provision import shell
from provision.errors import CommandFailed, DeadlineExceeded
from provision.settings import Settings
from provision.site import Site
from provision.wait import wait_until
from verify.drills.cli import Cli, kill
from verify.drills.drill_kill import Walk
from verify.drills.watch import Watch
from verify.drills.web import mlflow

SITE = "kvm-tacc"
# One question to each of the two that have a copy of a password: PostgreSQL through the runs, S3 through the artifacts.
QUESTIONS = {
    "postgresql-mlflow": ("POST", "api/2.0/mlflow/experiments/search", {"max_results": 1}),
    "s3-mlflow": ("GET", "api/2.0/mlflow-artifacts/artifacts", None),
}
ASK_S = 3.0


@pytest.mark.slow
@pytest.mark.breaks
@pytest.mark.parametrize("name", QUESTIONS)
def test_mlflow_answers_while_a_secret_of_its_changes(
    name: str, cli: Cli, doors: Mapping[str, Site], figure: Callable[[str], None]
) -> None:
    """Green before, green after, another value in the vault, and nothing left to do."""
    site = doors[SITE]
    cli.must_verify("mlflow")
    before = site.vault.fingerprint(name)
    with Watch(question(site, name)) as watch:
        answer = cli.must("provision.secrets", "--rotate", name)
    cli.must_verify("mlflow", "secrets")
    figure(f"{answer.data['changes']} changes in {answer.seconds:.0f} s; MLflow: {watch.told()}")
    assert answer.data["rotated"] == name
    assert site.vault.fingerprint(name) != before
    assert watch.asked
    assert watch.silence_s <= cli.budget("drill.rotation_silence_s")
    assert cli.must("provision.secrets").data["changes"] == 0


@pytest.mark.slow
@pytest.mark.breaks
def test_killed_half_way_the_same_command_goes_on(
    cli: Cli, settings: Settings, doors: Mapping[str, Site], figure: Callable[[str], None]
) -> None:
    """Killed right after the first change has begun: one new value in all, everywhere."""
    name, site = "postgresql-mlflow", doors[SITE]
    before = site.vault.fingerprint(name)
    walk = started(cli, settings, "provision.secrets", "--rotate", name)
    wait_until(
        "the first change",
        lambda: (bool(walk.changed()), shell.is_alive(walk.pid)),
        lambda seen: seen[0],
        lambda seen: not seen[1],
        deadline_s=cli.budget("drill.repair_deadline_s"),
        every_s=0.02,
    )
    kill(walk.pid)
    half_way = site.vault.fingerprint(name)
    again = cli.must("provision.secrets", "--rotate", name)
    cli.must_verify("mlflow", "secrets")
    figure(f"killed at its first change; then {again.data['changes']} changes in {again.seconds:.0f} s")
    assert before != half_way
    assert half_way == site.vault.fingerprint(name), "the second run made one more value"
    assert cli.must("provision.secrets").data["changes"] == 0


def started(cli: Cli, settings: Settings, *words: str) -> Walk:
    """Start a command; its changes are read from the events of the run that it opens."""
    runs = settings.state_dir / "runs"
    known = frozenset(path.name for path in runs.iterdir())
    pid, log = cli.start(*words)
    return Walk(pid, log, runs, known)


def question(site: Site, name: str) -> Callable[[], bool]:
    """One request to MLflow."""
    web, (method, path, body) = mlflow(site), QUESTIONS[name]

    def ask() -> bool:
        try:
            web.ask(method, path, body, answer_s=ASK_S)
        except (CommandFailed, DeadlineExceeded):
            return False
        return True

    return ask
