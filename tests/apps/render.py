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

from provision import releases, shell
from provision.errors import CommandFailed
from provision.releases import Release
from provision.settings import Settings, load

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
        bad = [line for env in ENVIRONMENTS for release in releases.load() for line in render(release, env, out)]
    sys.stderr.writelines(f"{line}\n" for line in bad)
    sys.stderr.write(f"{len(releases.load()) * len(ENVIRONMENTS)} rendered, {len(bad)} bad\n")
    return 1 if bad else 0


def render(release: Release, env: str, out: Path) -> list[str]:
    """Write the manifests of one release; returns what is wrong with it."""
    settings: Settings = load(env, platform="rehearsal")
    values = out / f"{release.name}.{env}.values.yaml"
    values.write_text(yaml.safe_dump(dict(releases.values(release, settings))), encoding="utf-8")
    chart = release.chart_ref
    try:
        shell.run(["helm", "lint", "--strict", "--quiet", chart, "-f", str(values)], deadline_s=HELM_S)
        made = shell.run(
            ["helm", "template", release.name, chart, "-n", release.namespace, "-f", str(values)], deadline_s=HELM_S
        )
    except CommandFailed as error:
        return [f"{release.name} ({env}): {error}"]
    objects = [item for item in yaml.safe_load_all(made.stdout) if item]
    (out / f"{release.name}.{env}.yaml").write_text(made.stdout, encoding="utf-8")
    names = {(item["kind"], item["metadata"]["name"]) for item in objects}
    return [
        f"{release.name} ({env}): waits for {ready.kind} {ready.name}, which the chart does not make"
        for ready in release.ready
        if (ready.kind, ready.name) not in names
    ]


if __name__ == "__main__":
    raise SystemExit(main())
