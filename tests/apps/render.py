"""Render every chart with helm for every environment: `python -m tests.apps.render [--out DIR]`.

Not a test, because it starts a program: `nox -s charts` or a person runs it. Exit 1 names every chart that does not
render or lint; --out keeps the manifests, one file a release and environment.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import yaml

from provision import pods, releases, shell, values
from provision.errors import CommandFailed
from provision.releases import Release
from provision.settings import Settings, load
from tests.apps import workloads

ENVIRONMENTS = ("rehearsal", "chameleon")
HELM_S = 60.0


def main(argv: Sequence[str] | None = None) -> int:
    """0 all render · 1 some do not."""
    parser = argparse.ArgumentParser(prog="python -m tests.apps.render")
    parser.add_argument("--out", type=Path, help="keep the rendered manifests here")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as scratch:
        out = args.out or Path(scratch)
        out.mkdir(parents=True, exist_ok=True)
        rows = [(release, env) for env in ENVIRONMENTS for release in releases.every(_settings(env)) if release.chart]
        bad = [line for release, env in rows for line in render(release, env, out)]
    sys.stderr.writelines(f"{line}\n" for line in bad)
    sys.stderr.write(f"{len(rows)} rendered, {len(bad)} bad\n")
    return 1 if bad else 0


def render(release: Release, env: str, out: Path) -> list[str]:
    """Write the manifests of one release; returns what is wrong with it."""
    stem = f"{release.name}.{release.site}.{env}"
    given = out / f"{stem}.values.yaml"
    given.write_text(yaml.safe_dump(dict(values.of(release, _settings(env)))), encoding="utf-8")
    chart = release.chart_ref
    try:
        shell.run(["helm", "lint", "--strict", "--quiet", chart, "-f", str(given)], deadline_s=HELM_S)
        made = shell.run(
            ["helm", "template", release.name, chart, "-n", release.namespace, "-f", str(given)], deadline_s=HELM_S
        )
    except CommandFailed as error:
        return [f"{release.name} ({env}): {error}"]
    objects = [item for item in yaml.safe_load_all(made.stdout) if item]
    (out / f"{stem}.yaml").write_text(made.stdout, encoding="utf-8")
    names = {(item["kind"], item["metadata"]["name"]) for item in objects}
    counted = pods.of(release.name, release.pods, values.of(release, _settings(env)))
    unlike = workloads.differences(objects, counted) if release.chart else []
    return [f"{release.name} ({env}): {text}" for text in unlike] + [
        f"{release.name} ({env}): waits for {ready.kind} {ready.name}, which the chart does not make"
        for ready in release.ready
        if (ready.kind.partition(".")[0], ready.name) not in names
    ]


def _settings(env: str) -> Settings:
    return load(env, platform="rehearsal")


if __name__ == "__main__":
    raise SystemExit(main())
