"""`python -m pipelines.train`: the driver of the job. Its last line on stdout is the result, as JSON."""

from __future__ import annotations

import argparse
import json
import os
import sys

from pipelines.train import job, tracking
from pipelines.train.job import Plan


def main() -> None:
    """Run the job; with --experiment, as a run of MLflow."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.train", description=job.__doc__)
    parser.add_argument("--prefix", required=True, help="folder of the checkpoints in the bucket CHECKPOINTS_BUCKET")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--embed-url", default="", help="POST /embed of a serving stage (default: bags of words)")
    parser.add_argument("--pause-s", type=float, default=0.0, help="after each epoch, so that it can be watched")
    parser.add_argument("--experiment", default="", help="of MLflow, which must answer then")
    args = parser.parse_args()
    plan = Plan(os.environ["CHECKPOINTS_BUCKET"], args.prefix, args.epochs, args.embed_url, args.pause_s)
    result = job.run(plan)
    run = tracking.record(args.experiment, plan, result) if args.experiment else ""
    sys.stdout.write(f"{json.dumps({**job.told(result), 'run': run})}\n")


if __name__ == "__main__":
    main()
