"""serving.* and pipelines.*: what runs on the platform, asked from this machine."""

from __future__ import annotations

from invoke import Collection, Context, task

from invocation.frame import finish, help, options

MODEL = "embedder (default) or summarizer"
WHY = "a sentence for the version's tags; obligatory"


@task(name="status", help=help("env", "platform", "json"))
def status(_c: Context, env: str = "", platform: str = "", json: bool = False) -> None:
    """Ask each of the four stages for an embedding: provider, version, latency, and what its aliases name."""
    from provision import stages

    finish(lambda: stages.status(options(env, "", platform, True, json)), json)


@task(
    name="register",
    help=help("env", "platform", "yes", "json", model=MODEL, folder="of the exported model", why=WHY),
)
def register(
    _c: Context,
    folder: str,
    model: str = "embedder",
    why: str = "",
    env: str = "",
    platform: str = "",
    yes: bool = False,
    json: bool = False,
) -> None:
    """Make the model in a folder a registered version, checksums and tags included; the same content once."""
    from provision import promotion

    finish(lambda: promotion.register(options(env, "", platform, yes, json), model, folder, why), json)


@task(
    name="promote",
    help=help(
        "env",
        "platform",
        "yes",
        "json",
        model=MODEL,
        version="number of the version (default: the one of the stage below)",
        to="testing, staging, canary or production (default: the next stage)",
        why=WHY,
    ),
)
def promote(
    _c: Context,
    model: str = "embedder",
    version: str = "",
    to: str = "",
    why: str = "",
    env: str = "",
    platform: str = "",
    yes: bool = False,
    json: bool = False,
) -> None:
    """Move a version one stage up: golden outputs, latency, errors and memory are measured at the stage below first."""
    from provision import promotion

    finish(lambda: promotion.promote(options(env, "", platform, yes, json), model, version, to, why), json)


@task(
    name="rollback",
    help=help("env", "platform", "yes", "json", model=MODEL, stage="the stage that goes back", why=WHY),
)
def rollback(
    _c: Context,
    model: str = "embedder",
    stage: str = "production",
    why: str = "",
    env: str = "",
    platform: str = "",
    yes: bool = False,
    json: bool = False,
) -> None:
    """Let a stage serve the version it had before; waits for no other run."""
    from provision import promotion

    finish(lambda: promotion.rollback(options(env, "", platform, yes, json), model, stage, why), json)


@task(
    name="bench",
    iterable=["only"],
    help=help(
        "json",
        smoke="seconds: ours and one small peer, no target judged, nothing written",
        rounds="how often everyone is driven",
        seconds="of one drive",
        only="NAME of a server, as often as needed (default: all)",
    ),
)
def bench(
    _c: Context, only: list[str], smoke: bool = False, rounds: int = 3, seconds: float = 8.0, json: bool = False
) -> None:
    """Drive ours and its peers on this machine in turns, print ratios, keep them in docs/bench; exit 1 on a miss."""
    from bench import __main__ as benchmark

    finish(lambda: benchmark.run(smoke, rounds, seconds, only), json)


@task(
    name="run",
    positional=["name"],
    iterable=["parameter"],
    help=help(
        "env", "platform", "yes", "json", name="a pipeline: ingest, ask", parameter="NAME=VALUE, as often as needed"
    ),
)
def run(
    _c: Context,
    name: str,
    parameter: list[str],
    env: str = "",
    platform: str = "",
    yes: bool = False,
    json: bool = False,
) -> None:
    """Start a pipeline and follow it to its end; exit 1 when it fails, and it goes on when this is interrupted."""
    from provision import pipelines

    finish(lambda: pipelines.run(options(env, "", platform, yes, json), name, parameter), json)


@task(name="list", help=help("env", "platform", "yes", "json"))
def list_(_c: Context, env: str = "", platform: str = "", yes: bool = False, json: bool = False) -> None:
    """Workflows, newest first, with phase, start, duration and message; older ones from the archive."""
    from provision import pipelines

    finish(lambda: pipelines.list_(options(env, "", platform, yes, json)), json)


@task(name="logs", positional=["name"], help=help("env", "platform", "yes", "json", name="a workflow"))
def logs(_c: Context, name: str, env: str = "", platform: str = "", yes: bool = False, json: bool = False) -> None:
    """What each step of a workflow said, from its pod or from what was kept of it."""
    from provision import pipelines

    finish(lambda: pipelines.logs(options(env, "", platform, yes, json), name), json)


def collections() -> tuple[Collection, ...]:
    """`serving` and `pipelines`."""
    serving = Collection("serving", status, register, promote, rollback, bench)
    return serving, Collection("pipelines", run, list_, logs)
