"""`python -m bench [--smoke] [--rounds N] [--seconds S] [--only NAME ...] [--out FOLDER]`.

Exit 1 when a target is missed, or when ours did not answer. A smoke judges no target: seconds tell nothing of ratios.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench import measure, models, report, targets, venvs
from bench.machine import describe
from bench.measure import Facts, Row
from bench.peers import OUR_LOCKS, OURS, PEERS, SMOKE, Kind
from provision import say, shell
from provision.errors import CommandFailed, PlatformError, UsageError
from provision.paths import ROOT, cache_dir

VOCABULARY = 50_264  # of the summarizer's words
KINDS: tuple[Kind, ...] = ("embed", "summarize", "both")
PLOT_S = 120
ALONE_S = 120
SAME_MODEL = 0.99  # mean cosine to fp32 of the least precise variant that counts as the same model
OUT = ROOT / "docs" / "bench"


def main(argv: Sequence[str] | None = None) -> int:
    """0 all targets met · 1 one missed or ours silent."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="seconds: ours and one small peer, no target judged")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8.0, help="of one drive")
    parser.add_argument("--only", nargs="+", default=[], help="some of the servers")
    parser.add_argument("--out", type=Path, default=OUT, help="of the JSON and the plot")
    args = parser.parse_args(argv)
    try:
        result = run(args.smoke, args.rounds, args.seconds, args.only, args.out)
    except PlatformError as error:
        say.failure(error)
        return error.exit_code
    code = result["exit_code"]
    return code if isinstance(code, int) else 1


def run(is_smoke: bool, rounds: int, seconds: float, only: Sequence[str], out: Path = OUT) -> dict[str, object]:
    """Measure, print, keep. Raises PlatformError where nothing of ours can be made."""
    known = {peer.name for peer in PEERS}
    if unknown := set(only) - known:
        raise UsageError(f"no server is called {', '.join(sorted(unknown))}", why=f"known: {', '.join(sorted(known))}")
    wanted = SMOKE if is_smoke else tuple(only) or tuple(peer.name for peer in PEERS)
    effort = measure.SMOKE if is_smoke else measure.Effort(rounds, seconds)
    began, machine = datetime.now(UTC), describe()
    folder = models.prepare(is_smoke)
    logs = cache_dir() / "bench" / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    facts: list[Facts] = []
    rates: list[Mapping[str, float]] = []
    for kind in KINDS:
        peers = [peer for peer in PEERS if peer.kind == kind and peer.name in wanted]
        if peers:
            has_ours = any(peer.name == OURS for peer in peers)
            between = (lambda: rates.append(_alone(folder, effort.seconds))) if has_ours else (lambda: None)
            more, about = measure.run(peers, measure.plan(kind, effort, VOCABULARY), effort, folder, logs, between)
            rows, facts = rows + more, facts + about
    alone = {name: statistics.median(one[name] for one in rates) for name in rates[0]} if rates else {}
    verdicts = () if is_smoke else tuple(targets.judge(rows, facts, alone))
    stamp = began.strftime("%Y-%m-%dT%H:%MZ")
    made = report.Report(stamp, machine, effort.rounds, tuple(rows), tuple(facts), verdicts, is_smoke, alone)
    for line in report.lines(made):
        say.detail(line)
    if not is_smoke:
        _keep(made, out, began)
    return made.data() | {"exit_code": exit_code(made)}


def _alone(folder: Path, seconds: float) -> dict[str, float]:
    """Texts a second of our embedding engine by itself, by name of the texts."""
    words = [str(venvs.python(OUR_LOCKS)), "-m", "bench.alone", str(folder / "ours"), str(seconds)]
    found = shell.run(words, deadline_s=ALONE_S, env={"PYTHONPATH": str(ROOT)}).stdout
    return {name: float(rate) for name, rate in json.loads(found).items()}


def exit_code(made: report.Report) -> int:
    """1 when a target is missed, nothing was compared, ours is silent, a request to ours failed, or vectors are not the
    model's: a server that computes something else is no peer."""
    ours = [row for row in made.rows if row.peer.startswith("ours")]
    is_silent = not ours or any(row.figure.failed or not row.figure.count for row in ours)
    is_empty = not made.is_smoke and all(verdict.is_met is None for verdict in made.verdicts)
    is_other = any(one.quality and not one.quality.cosine_mean >= SAME_MODEL for one in made.facts)
    return int(is_silent or is_empty or is_other or any(verdict.is_met is False for verdict in made.verdicts))


def _keep(made: report.Report, out: Path, began: datetime) -> None:
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{began:%Y-%m-%d}.json"
    path.write_text(json.dumps(made.data(), indent=1) + "\n", encoding="utf-8")
    try:
        python = venvs.python(("bench-plot",))
        shell.run([python, ROOT / "bench" / "plot.py", path, path.with_suffix(".svg")], deadline_s=PLOT_S)
    except (CommandFailed, venvs.Unavailable) as error:
        say.warn(f"no plot: {error.what}")
    say.line("bench", "ok", f"wrote {path.relative_to(ROOT) if path.is_relative_to(ROOT) else path.name}")


if __name__ == "__main__":
    sys.exit(main())
