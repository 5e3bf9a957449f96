"""A verification by itself (`nox -s verify`, pytest by hand) leaves a run's papers: junit.xml, report.html."""

from __future__ import annotations

import pytest

from provision import report, say, verification
from provision.settings import Settings
from provision.state import Run


def is_own(config: pytest.Config) -> bool:
    """Whether the run folder is this verification's own: nobody gave one, and something will be checked."""
    return not config.getoption("run_dir") and not config.getoption("collectonly")


def begin(config: pytest.Config, run: Run, settings: Settings) -> None:
    """Have JUnit written into the run's folder, and what workers collect too."""
    config.option.run_dir = str(run.folder)
    config.option.xmlpath = config.option.xmlpath or str(run.folder / "junit.verify.xml")
    run.event("run", what="verify", env=settings.env, platform=settings.platform)


def end(run: Run, settings: Settings) -> None:
    """Merge and draw."""
    verification.merge_junit(run)
    say.line("verify", "report", str(report.write(settings, run)))
