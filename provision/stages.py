"""The four serving stages as a user of the platform meets them: asked from kvm-tacc, through the link."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from provision import promotion, say
from provision.commands import Options
from provision.engine import open_sites
from provision.errors import CheckFailed, CommandFailed, DeadlineExceeded, PlatformError
from provision.settings import ROOT, Forward, load
from provision.site import Site
from provision.state import Run
from serving import gates, lifecycle, registry
from serving.errors import ServingError
from serving.stages import NAMES

PREFIX = "serving-"
SENTENCE = "A lease ends after seven days, and nothing of ours may be lost with it."


@dataclass(frozen=True, slots=True)
class Named:
    """What a stage's alias names, and what the stage serves.

    number: MLflow's, '' where no alias is known. wanted: its version as answers tell it. served: what answers tell.
    """

    model: str
    number: str = ""
    wanted: str = ""
    digest: str = ""
    previous: str = ""
    served: str = ""


@dataclass(frozen=True, slots=True)
class StageStatus:
    """One stage. latency_ms: of one sentence, link included. cosine: to the fp64 reference, over the recorded texts."""

    stage: str
    ready: bool
    model: str = ""
    version: str = ""
    precision: str = ""
    provider: str = ""
    degraded: bool = False
    dimensions: int = 0
    latency_ms: float = 0.0
    cosine: float = 0.0
    why: str = ""
    models: tuple[Named, ...] = ()


def status(options: Options, text: str = "") -> dict[str, object]:
    """Ask every stage for an embedding of `text`, and for the recorded texts; exit code 1 when one does not answer."""
    settings = load(options.env, platform=options.platform)
    site = open_sites(settings, Run(settings.state_dir))[settings.link.server]
    known = named(site)
    rows = [
        ask(site, forward, text or SENTENCE, known)
        for forward in settings.link.forwards
        if forward.service.startswith(PREFIX)
    ]
    for row in rows:
        say.line("serving", "ok" if row.ready else "fail", _text(row))
    for caveat in settings.caveats:
        say.line("serving", "note", caveat)
    if not rows:
        raise CheckFailed("no stage is forwarded by the link", next="invoke provision.plan")
    return {
        "env": settings.env,
        "platform": settings.platform,
        "exit_code": 0 if all(row.ready for row in rows) else 1,
        "simulated": list(settings.simulated),
        "stages": [asdict(row) for row in rows],
    }


def named(site: Site) -> Mapping[tuple[str, str], Named]:
    """What every alias names, by stage and model; nothing, and said so, when MLflow cannot be asked."""
    found: dict[tuple[str, str], Named] = {}
    try:
        with promotion.opened(site) as mlflow:
            for model in lifecycle.MODELS:
                aliases, versions = mlflow.aliases(model), {one.number: one.tags for one in mlflow.versions(model)}
                for stage in (stage for stage in NAMES if stage in aliases):
                    tags, previous = versions.get(aliases[stage], {}), aliases.get(stage + lifecycle.PREVIOUS, "")
                    told = (aliases[stage], tags.get(registry.VERSION, ""), tags.get(registry.DIGEST, ""), previous)
                    found[stage, model] = Named(model, *told)
    except (PlatformError, ServingError) as error:
        say.line("serving", "note", f"aliases are not known: {str(error).splitlines()[0]}")
        return {}
    return found


def ask(site: Site, forward: Forward, text: str, known: Mapping[tuple[str, str], Named]) -> StageStatus:
    """One stage through the link. known: what aliases name."""
    stage = forward.service.removeprefix(PREFIX)
    models = tuple(known.get((stage, model), Named(model)) for model in lifecycle.MODELS)
    golden = json.loads((ROOT / "serving" / "golden.json").read_text())["texts"]
    try:
        answer, latency_ms = _post(site, forward, "embed", [text])
        recorded, _ = _post(site, forward, "embed", [row["text"] for row in golden])
        ready = _get(site, forward, "readyz")
    except (CommandFailed, DeadlineExceeded, json.JSONDecodeError, KeyError) as error:
        return StageStatus(stage, False, why=str(error).splitlines()[0], models=models)
    worst = min(gates.cosine(got, row["vector"]) for got, row in zip(recorded["embeddings"], golden, strict=True))
    served = {row["role"]: row["version"] or "" for row in ready.get("models", ())}
    return StageStatus(
        stage,
        bool(ready["ready"]),
        answer["model"],
        answer["version"],
        answer["precision"],
        ready["provider"],
        bool(ready["degraded"]),
        len(answer["embeddings"][0]),
        round(latency_ms, 1),
        round(worst, 6),
        models=tuple(replace(one, served=served.get(one.model, "")) for one in models),
    )


def summarize(site: Site, forward: Forward, texts: Sequence[str]) -> tuple[Any, float]:
    """POST /summarize through the link: the answer and its milliseconds. Raises CommandFailed, DeadlineExceeded."""
    return _post(site, forward, "summarize", texts)


def _post(site: Site, forward: Forward, path: str, texts: Sequence[str]) -> tuple[Any, float]:
    """Texts, from the site's entry node; returns the answer and its milliseconds."""
    out = _curl(
        site,
        forward,
        path,
        ["-w", "\n%{time_total}", "-H", "content-type: application/json", "--data", "@-"],
        json.dumps({"texts": list(texts)}),
    )
    body, _, seconds = out.rpartition("\n")
    return json.loads(body), float(seconds) * 1000


def _get(site: Site, forward: Forward, path: str) -> Any:
    return json.loads(_curl(site, forward, path, [], ""))


def _curl(site: Site, forward: Forward, path: str, words: Sequence[str], body: str) -> str:
    entry = site.own.entry
    url = f"http://{entry.address}:{forward.port}/{path}"
    return site.hosts.run(entry.name, ["curl", "-sS", "--max-time", "20", "--fail", *words, url], stdin=body).stdout


def _text(row: StageStatus) -> str:
    if not row.ready:
        return f"{row.stage:<11} {row.why}"
    degraded = ", degraded" if row.degraded else ""
    return (
        f"{row.stage:<11} {row.model} {row.version} {row.precision} on {row.provider}{degraded}: "
        f"{row.dimensions} numbers "
        f"in {row.latency_ms:.0f} ms, cosine to the reference {row.cosine:.6f}{_aliases(row)}"
    )


def _aliases(row: StageStatus) -> str:
    """What aliases name, and whether that serves."""
    parts = [
        f"{one.model}@{row.stage} {one.number} ({one.digest[:12]}, before: {one.previous or '-'})"
        + ("" if one.served == one.wanted else f" names {one.wanted}, {one.served or 'nothing'} serves")
        for one in row.models
        if one.number
    ]
    return "".join(f"; {part}" for part in parts)
