"""A run's summary for the terminal, and `report.html`: one self-contained file with a timeline drawn as a picture."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from importlib.metadata import version
from pathlib import Path

from provision import engines, verification
from provision.engine import Result
from provision.settings import Settings
from provision.state import Run, write_atomic

COLOURS = {"ok": "#2a9d6f", "unchanged": "#9bb8ad", "failed": "#c8402f", "waits": "#d99a2b"}
ROW_PX, LABEL_PX, WIDTH_PX = 24, 170, 900
SHOWN_VERSIONS = ("openstacksdk", "pyhelm3", "kr8s", "invoke", "nox", "pytest", "pytest-testinfra", "pytest-kubernetes")


@dataclass(frozen=True, slots=True)
class Span:
    """One bar of the timeline. start, end: seconds since the run began."""

    label: str
    start: float
    end: float
    result: str


def summary(settings: Settings, results: Sequence[Result], seconds: float) -> str:
    """A line a step and site, then the totals and what is simulated."""
    rows = [_summary_row(result) for result in results]
    done = sum(1 for result in results if result.outcome in {"ok", "unchanged"})
    changes = sum(result.changes for result in results)
    rows.append(f"{done} of {len(results)} stand, {changes} changes, {int(seconds // 60)}m{seconds % 60:02.0f}s")
    return "\n".join([*rows, *settings.caveats])


def _summary_row(result: Result) -> str:
    tail = ""
    if result.outcome == "unchanged":
        tail = f"unchanged, last green {result.last_green or 'never'}"
    elif result.outcome == "ok":
        tail = f"{result.changes} changes, green {result.last_green or 'not checked'}"
    elif result.error:
        tail = result.error.what
    return f"{result.step:<10} {result.site:<9} {result.outcome:<12} {result.seconds:6.0f}s  {tail}"


def write(settings: Settings, run: Run) -> Path:
    """Write `report.html` beside the run's events; returns its path."""
    events = [json.loads(row) for row in (run.folder / "events.jsonl").read_text().splitlines()]
    page = run.folder / "report.html"
    write_atomic(page, _page(settings, run, events), mode=0o644)
    return page


def spans(events: Sequence[dict[str, object]]) -> list[Span]:
    """The bars: each step at each site from its start event to its end event."""
    if not events:
        return []
    zero = _stamp(events[0])
    started: dict[tuple[object, object], float] = {}
    bars = []
    for event in events:
        if event["kind"] != "step":
            continue
        key = (event["step"], event["site"])
        if event["state"] == "start":
            started[key] = _stamp(event) - zero
        elif key in started:
            bars.append(
                Span(f"{event['step']} {event['site']}", started.pop(key), _stamp(event) - zero, str(event["result"]))
            )
    return bars


def timeline(bars: Sequence[Span]) -> str:
    """The bars as an inline SVG picture."""
    if not bars:
        return "<p>No step ran.</p>"
    total = max(max(bar.end for bar in bars), 1.0)
    scale = (WIDTH_PX - LABEL_PX - 90) / total
    height = ROW_PX * len(bars) + 30
    rows = [_bar(bar, index, scale) for index, bar in enumerate(bars)]
    ticks = [_tick(total * part / 4, scale, height) for part in range(5)]
    picture = "".join(ticks + rows)
    return f'<svg viewBox="0 0 {WIDTH_PX} {height}" width="100%" role="img" aria-label="timeline">{picture}</svg>'


def _bar(bar: Span, index: int, scale: float) -> str:
    y = index * ROW_PX
    x, width = LABEL_PX + bar.start * scale, max(2.0, (bar.end - bar.start) * scale)
    colour, took = COLOURS.get(bar.result, "#888"), f"{bar.end - bar.start:.0f}s"
    return (
        f'<text x="0" y="{y + 16}" font-size="12">{escape(bar.label)}</text>'
        f'<rect x="{x:.1f}" y="{y + 5}" width="{width:.1f}" height="14" rx="2" fill="{colour}"/>'
        f'<text x="{x + width + 4:.1f}" y="{y + 16}" font-size="11" fill="#555">{took} {escape(bar.result)}</text>'
    )


def _tick(at: float, scale: float, height: int) -> str:
    x = LABEL_PX + at * scale
    return (
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{height - 18}" stroke="#ddd"/>'
        f'<text x="{x:.1f}" y="{height - 4}" font-size="11" fill="#777">{at:.0f}s</text>'
    )


def _page(settings: Settings, run: Run, events: Sequence[dict[str, object]]) -> str:
    checks = [check for path in sorted(run.folder.glob("junit.*.xml")) for check in verification.read_junit(path)]
    check_rows = [(check.name, check.outcome, f"{check.seconds:.1f}s", check.why) for check in checks]
    differ = [(what, how.strip(), "real") for what, _, how in (caveat.partition(":") for caveat in settings.caveats)]
    differ += [
        ("engine", engines.choose(settings).text(), "kubespray"),
        ("clouds", "OpenStack on this machine" if settings.embedded else "Chameleon", "Chameleon"),
        ("images", settings.registry.mirror or "upstream", "upstream"),
    ]
    notes = "".join(f'<p class="note">{escape(caveat)}</p>' for caveat in settings.caveats)
    return (
        f"<!doctype html><meta charset=utf-8><title>tandem {escape(settings.platform)} {run.utc}</title>"
        f"<style>{_STYLE}</style>"
        f"<h1>{escape(settings.platform)} <small>{escape(settings.env)}, {run.utc}</small></h1>{notes}"
        f"<h2>Timeline</h2>{timeline(spans(events))}"
        f"<h2>Checks ({len(checks)})</h2>{_table(('check', 'outcome', 'time', 'why'), check_rows)}"
        f"<h2>Changes</h2>{_table(('step', 'site', 'verb', 'what', 'why'), _changes(events))}"
        f"<h2>Where rehearsal and testbed differ</h2>{_table(('what', 'here', 'testbed'), differ)}"
        f"<h2>Versions</h2>{_table(('what', 'version'), _versions(settings))}"
    )


def _changes(events: Sequence[dict[str, object]]) -> list[tuple[str, ...]]:
    keys = ("step", "site", "verb", "what", "why")
    return [tuple(str(event[key]) for key in keys) for event in events if event["kind"] == "change"]


def _versions(settings: Settings) -> list[tuple[str, ...]]:
    return [("kubernetes", settings.kubernetes.version), *((name, version(name)) for name in SHOWN_VERSIONS)]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return "<p>none</p>"
    body = "".join(
        f"<tr class={escape(row[1])}>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return "<table><tr>" + "".join(f"<th>{cell}</th>" for cell in head) + f"</tr>{body}</table>"


def _stamp(event: dict[str, object]) -> float:
    return datetime.fromisoformat(str(event["utc"])).timestamp()


_STYLE = (
    "body{font:14px/1.5 system-ui,sans-serif;max-width:960px;margin:2em auto;padding:0 1em;color:#222}"
    "table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:3px 8px;border-bottom:1px solid #eee}"
    "small{color:#777;font-weight:normal}.failed td,.error td,.skipped td{color:#c8402f}"
    ".note{background:#fff4d6;padding:6px 10px}"
)
