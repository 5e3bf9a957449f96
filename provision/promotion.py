"""`serving.register`, `serving.promote` and `serving.rollback`: versions of models, moved as aliases in MLflow.

A promotion measures the stage that serves the version now, with the gates and the numbers of verify/check_onnx.py;
moves the alias of the next one; and waits until that stage serves it. A stage that will not take the version, or does
not in time, gets its alias back. All as MLflow's user `promotion`, who owns the models; who asked, when and why stand
in the version's tags. The router in front of production takes back by itself what does badly at the canary.
"""

from __future__ import annotations

import getpass
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import httpx

from provision import forwarding, ladder, probing, say
from provision.commands import Json, Options, session, settings_of
from provision.engine import open_sites
from provision.errors import (
    CheckFailed,
    CommandFailed,
    DeadlineExceeded,
    PlatformError,
    PreconditionMissing,
    UsageError,
)
from provision.probing import Budget, Standing
from provision.settings import Settings
from provision.site import Site
from provision.state import Run
from provision.wait import wait_until
from serving import lifecycle, recorded
from serving.errors import GateFailed, ModelInvalid, ServingError, TrackingFailed
from serving.gates import Verdict
from serving.lifecycle import Move, Note
from serving.recorded import Recorded
from serving.registry import VERSION
from serving.source import EMBEDDER
from serving.tracking import Tracking, Version
from verify import budgets

USER = "promotion"
ENTRY = f"mlflow-{USER}"
SERVICE = "mlflow"
ANSWER_S = 30.0


@dataclass(frozen=True)
class Desk:
    """What all three commands need: the site that serves, the registry, the numbers, and who asks."""

    site: Site
    mlflow: Tracking
    budget: Budget
    note: Note


def register(options: Options, model: str, folder: str, why: str) -> Json:
    """Make the model in a folder a version, with all its files; stages without an alias get it."""
    ladder.known_model(model)
    if not Path(folder).is_dir():
        raise UsageError(f"no folder {folder!r}", next="invoke --help serving.register")
    settings = settings_of(options)
    with session(settings, "serving.register") as (_, sites), _desk(settings, sites, why) as desk:
        version = lifecycle.register(desk.mlflow, model, Path(folder), desk.note)
        named = lifecycle.assign(desk.mlflow, version, desk.note)
        say.line(
            "serving", "ok", f"{model} {version.number} ({version.tags[VERSION]}); now at: {', '.join(named) or '-'}"
        )
        if version.number not in desk.mlflow.aliases(model).values():
            say.line(
                "serving", "next", f"invoke serving.promote --model {model} --version {version.number} --to testing"
            )
        return {
            **_head(settings),
            "model": model,
            "version": version.number,
            "tags": dict(version.tags),
            "named": named,
        }


def promote(options: Options, model: str, version: str, to: str, why: str) -> Json:
    """One version one stage up, through the gates. Raises CheckFailed naming those that it did not pass."""
    settings, began = settings_of(options), time.monotonic()
    with session(settings, f"serving.promote {model}") as (_, sites), _desk(settings, sites, why) as desk:
        step = ladder.chosen(model, desk.mlflow.aliases(model), version, to)
        promoted = desk.mlflow.version(model, step.after)
        verdicts = _measured(desk, step, promoted)
        bad = [one for one in verdicts if not one.passed]
        if bad:
            raise CheckFailed(
                f"{model} {step.after} does not pass to {step.stage}",
                why="; ".join(f"{one.gate}: {one.found}" for one in bad),
                next=f"invoke serving.rollback --model {model} --stage {ladder.below(step.stage)}",
            )
        lifecycle.move(desk.mlflow, step, desk.note, verdicts)
        _settle(desk, step, promoted)
        say.line("serving", "ok", f"{step.stage}: {model} {step.before or '-'} -> {step.after}")
        return {**_head(settings), **asdict(step), "gates": [asdict(one) for one in verdicts], **_seconds(began)}


def rollback(options: Options, model: str, stage: str, why: str) -> Json:
    """A stage's alias back to the version before; takes no lock, since it may have to be quick beside another run."""
    ladder.known_model(model)
    ladder.known_stage(stage)
    settings, began = settings_of(options), time.monotonic()
    sites = open_sites(settings, Run(settings.state_dir))
    with _desk(settings, sites, why) as desk:
        aliases = desk.mlflow.aliases(model)
        step = lifecycle.way_back(aliases, model, stage)
        if step is None:
            raise PreconditionMissing(
                f"{model}: no version before that of {stage} is known",
                why=ladder.told(aliases),
                next=f"invoke serving.promote --model {model} --version N --to {stage}",
            )
        lifecycle.roll_back(desk.mlflow, step, desk.note)
        moved = _seconds(began)
        say.line("serving", "ok", f"{stage}: {model} {step.before} -> {step.after} in {moved['seconds']} s")
        say.line("serving", "next", "invoke serving.status   # the stage loads it beside the other one, then swaps")
        return {**_head(settings), **asdict(step), **moved}


def _measured(desk: Desk, step: Move, version: Version) -> Sequence[Verdict]:
    """The gates at the stage below, which must serve this very version. Of the first stage: none, it proves itself."""
    stage = ladder.below(step.stage)
    if not stage:
        return ()
    with probing.opened(desk.site, stage, desk.budget("onnx.request_deadline_s")) as live:
        found = live.standing(step.model)
        if found.version != version.tags.get(VERSION):
            raise PreconditionMissing(
                f"{stage} does not serve {step.model} {step.after}",
                why=f"it serves {found.version or 'nothing'}; {found.why}".rstrip("; "),
                next="invoke serving.status",
            )
        verdicts = live.verdicts(step.model, version.tags, _recorded(desk, step, version), desk.budget)
    for one in verdicts:
        say.line("serving", "ok" if one.passed else "fail", f"{stage} {one.gate:<7} {one.found}")
    return verdicts


def _recorded(desk: Desk, step: Move, version: Version) -> Sequence[Recorded]:
    """Of an embedder. Raises CheckFailed when its files are not those that were registered."""
    try:
        return recorded.read(desk.mlflow, version) if step.model == EMBEDDER else ()
    except ModelInvalid as error:
        raise CheckFailed(
            f"{step.model} {step.after} does not pass to {step.stage}",
            why=str(error),
            next=f"invoke serving.rollback --model {step.model} --stage {ladder.below(step.stage)}",
        ) from error


def _settle(desk: Desk, step: Move, version: Version) -> None:
    """Wait until the stage serves what its alias names now; else the alias goes back. Raises what the wait raised."""
    wanted = version.tags.get(VERSION, "")
    try:
        with probing.opened(desk.site, step.stage, ANSWER_S) as live:
            wait_until(
                f"{step.stage} serves {step.model} {wanted}",
                partial(live.standing, step.model),
                lambda now: now.version == wanted,
                lambda now: _is_refused(now, wanted),
                deadline_s=desk.budget("onnx.served_deadline_s"),
                every_s=1.0,
                next="invoke serving.status",
            )
    except (DeadlineExceeded, CommandFailed) as error:
        back = lifecycle.way_back(desk.mlflow.aliases(step.model), step.model, step.stage)
        if back and back.before == step.after:  # unless somebody was quicker
            lifecycle.roll_back(desk.mlflow, back, Note(desk.note.who, _now(), f"not served: {error.why}"))
            say.line("serving", "fail", f"{step.stage}: the alias is back at {back.after}")
        raise


def _is_refused(now: Standing, wanted: str) -> bool:
    return now.refused == wanted and now.version != wanted


@contextmanager
def _desk(settings: Settings, sites: Mapping[str, Site], why: str) -> Iterator[Desk]:
    """With MLflow's errors as the platform's."""
    if not why.strip():
        raise UsageError("--why is missing", why="it stands in the version's tags", next='the same with --why "..."')
    try:
        with opened(sites[settings.link.server]) as mlflow:
            note = Note(f"{getpass.getuser()}@{socket.gethostname()}", _now(), why)
            yield Desk(sites[settings.link.client], mlflow, partial(budgets.read, env=settings.env), note)
    except ServingError as error:
        raise _as_platform(error, settings) from error


@contextmanager
def opened(site: Site) -> Iterator[Tracking]:
    """MLflow by its Service, as the user who promotes. Raises PreconditionMissing before the vault has that user."""
    login = site.vault.read().get(ENTRY)
    if login is None:
        raise PreconditionMissing(f"the vault has no {ENTRY}", next="invoke provision.secrets")
    target = forwarding.target(forwarding.row(site.settings, SERVICE))
    with (
        forwarding.forwarded(site, target) as port,
        httpx.Client(
            base_url=f"http://127.0.0.1:{port}", auth=(USER, login["password"]), timeout=ANSWER_S, trust_env=False
        ) as client,
    ):
        yield Tracking(client)


def _as_platform(error: ServingError, settings: Settings) -> PlatformError:
    if isinstance(error, TrackingFailed):
        return CommandFailed(
            "MLflow did not do it", why=str(error), next=f'nox -s "verify(mlflow)" -- --env {settings.env}'
        )
    kind = CheckFailed if isinstance(error, GateFailed) else UsageError
    return kind("the model cannot be registered", why=str(error), next="invoke --help serving.register")


def _head(settings: Settings) -> Json:
    return {"env": settings.env, "platform": settings.platform, "exit_code": 0}


def _seconds(began: float) -> Json:
    return {"seconds": round(time.monotonic() - began, 1)}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
