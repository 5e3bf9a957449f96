"""Human lines go to stderr, data to stdout, every line to the listeners; nothing has a traceback."""

from __future__ import annotations

import json

import pytest

from provision import say
from provision.errors import StepFailed


def test_human_lines_go_to_stderr_only(capsys: pytest.CaptureFixture[str]) -> None:
    say.line("lease", "apply", "server rehearsal-kvm-tacc-node-1")
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "lease     > apply   server rehearsal-kvm-tacc-node-1\n"


def test_a_line_without_text_has_no_trailing_space(capsys: pytest.CaptureFixture[str]) -> None:
    say.line("lease", "clean")
    assert capsys.readouterr().err == "lease     > clean\n"


def test_data_goes_to_stdout_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    say.data({"ok": True, "changes": 0})
    out, err = capsys.readouterr()
    assert json.loads(out) == {"ok": True, "changes": 0}
    assert err == ""


def test_a_failure_says_what_why_log_next(capsys: pytest.CaptureFixture[str]) -> None:
    say.failure(
        StepFailed("charts: not clean", why="first\nsecond", log="charts.log:12", next="invoke provision.charts")
    )
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("tandem    > fail")
    assert [line.split() for line in lines[1:]] == [
        ["why:", "first"],
        ["second"],
        ["log:", "charts.log:12"],
        ["next:", "invoke", "provision.charts"],
    ]


def test_empty_tails_are_not_said(capsys: pytest.CaptureFixture[str]) -> None:
    say.failure(StepFailed("charts: not clean"))
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_listeners_hear_every_line_until_they_stop() -> None:
    heard: list[tuple[str, str, str]] = []
    stop = say.listen(lambda who, verb, text: heard.append((who, verb, text)))
    say.line("lease", "plan", "one")
    say.detail("belongs to the line before")
    stop()
    say.line("lease", "plan", "two")
    assert heard == [("lease", "plan", "one")]


def test_no_colour_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    say.line("lease", "fail", "x")
    assert "\033" not in capsys.readouterr().err
