"""`python -m pipelines.ingest list|extract|load|report|ask`: one step, its doors opened from the environment."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from pipelines.ingest import config as configs
from pipelines.ingest import reader, stage, steps
from pipelines.ingest import report as reports
from pipelines.ingest.config import Config
from pipelines.ingest.errors import ConfigInvalid, IngestError
from pipelines.ingest.store import Store
from pipelines.ingest.vectors import Vectors

log = logging.getLogger("ingest")


def main(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """0 done · 1 failed, may be tried again · 2 settings or usage. What is not foreseen ends with its traceback."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stdout)
    log.setLevel(logging.INFO)
    args = parse(argv)
    try:
        STEPS[args.step](args, configs.from_env(environ))
    except IngestError as error:
        log.error("%s: %s", type(error).__name__, error)
        return error.exit_code
    return 0


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The command line; argparse itself ends with 2 when it is wrong."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.ingest", description=__doc__)
    add = parser.add_subparsers(dest="step", required=True, metavar="STEP").add_parser
    lists = add("list", help="what there is, as a plan of batches")
    lists.add_argument("--prefix", default="")
    lists.add_argument("--batch", type=_positive, default=20, help="documents a batch")
    lists.add_argument("--out", type=Path, required=True, help="folder for plan.json and batches.json")
    extract = add("extract", help="text of one batch")
    extract.add_argument("--plan", type=Path, required=True)
    extract.add_argument("--number", type=int, required=True, help="of the batch")
    extract.add_argument("--out", type=Path, required=True, help="file for the rows")
    load = add("load", help="chunks and vectors of one batch")
    load.add_argument("--rows", type=Path, required=True, help="what extract wrote")
    load.add_argument("--out", type=Path, required=True, help="file for the rows")
    report = add("report", help="one report of all batches")
    report.add_argument("--plan", type=Path, required=True)
    report.add_argument("--parts", type=Path, required=True, help="folder with what each load wrote")
    report.add_argument("--name", required=True, help="the workflow's")
    report.add_argument("--out", type=Path, required=True, help="folder for summary.txt")
    ask = add("ask", help="the nearest chunks to questions")
    ask.add_argument("--questions", type=_questions, required=True, help="a JSON list of texts, or one text")
    ask.add_argument("--prefix", default="", help="only documents whose name begins so")
    ask.add_argument("--limit", type=_positive, default=3, help="chunks a question")
    ask.add_argument("--out", type=Path, required=True, help="folder for answers.json and summary.txt")
    return parser.parse_args(argv)


def _list(args: argparse.Namespace, config: Config) -> None:
    with Store.opened(config) as store:
        steps.list_documents(store, prefix=args.prefix, batch=args.batch, out=args.out)


def _extract(args: argparse.Namespace, config: Config) -> None:
    plan = reports.load_plan(args.plan.read_text())
    if not 0 <= args.number < len(plan):
        raise ConfigInvalid(f"--number {args.number}: the plan has {len(plan)} batches")
    with Store.opened(config) as store:
        rows = steps.extract(store, partial(reader.read, config=config), config, plan[args.number])
    args.out.write_text(reports.dump_rows(rows))


def _load(args: argparse.Namespace, config: Config) -> None:
    rows = reports.load_rows(args.rows.read_text())
    post = stage.over_http(config.embed_url)
    with Store.opened(config) as store, Vectors.opened() as vectors:
        rows = steps.load(store, post, vectors, config, rows)
    args.out.write_text(reports.dump_rows(rows))


def _report(args: argparse.Namespace, config: Config) -> None:
    plan = reports.load_plan(args.plan.read_text())
    with Store.opened(config) as store:
        steps.report(store, plan, args.parts, name=args.name, out=args.out)


def _ask(args: argparse.Namespace, config: Config) -> None:
    post = stage.over_http(config.embed_url)
    with Vectors.opened() as vectors:
        answers = steps.ask(
            post, vectors, args.questions, prefix=args.prefix, limit=args.limit, most=config.embed_texts
        )
    (args.out / "answers.json").write_text(json.dumps([asdict(answer) for answer in answers]))
    (args.out / "summary.txt").write_text("\n".join(answer.text for answer in answers))
    log.info("\n".join(answer.text for answer in answers))


STEPS: Mapping[str, Callable[[argparse.Namespace, Config], None]] = {
    "list": _list,
    "extract": _extract,
    "load": _load,
    "report": _report,
    "ask": _ask,
}


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("expected 1 or more")
    return number


def _questions(text: str) -> list[str]:
    """A JSON list of texts, or anything else as one question."""
    if not text.startswith("["):
        return [text]
    told = json.loads(text)
    if not told or not all(isinstance(each, str) and each for each in told):
        raise argparse.ArgumentTypeError("expected a list of texts")
    return list(told)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:], os.environ))
