"""`python plot.py REPORT.json OUT.svg`, in the plot's own environment: how many times faster ours is, by measure."""

from __future__ import annotations

import json
import statistics
import sys

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "tandem"  # the same report gives the same file
from matplotlib import pyplot  # noqa: E402


def main() -> None:
    """One bar for each peer and measure, with the spread of the rounds."""
    with open(sys.argv[1], "rb") as file:  # noqa: PTH123
        report = json.load(file)
    rates = {(row["round"], row["measure"], row["peer"]): row["figure"]["rate"] for row in report["rows"]}
    ours = {row: rate for row, rate in rates.items() if row[2].startswith("ours")}
    bars: dict[str, list[float]] = {}
    for (number, measure, peer), rate in rates.items():
        mine = next((value for (n, m, _), value in ours.items() if (n, m) == (number, measure)), 0.0)
        if not peer.startswith("ours") and rate and mine:
            bars.setdefault(f"{measure}  {peer}", []).append(mine / rate)
    draw(bars, sys.argv[2])


def draw(bars: dict[str, list[float]], out: str) -> None:
    """Logarithmic, because one peer is two orders slower."""
    names = sorted(bars, reverse=True)
    middle = [statistics.median(bars[name]) for name in names]
    below = [value - min(bars[name]) for value, name in zip(middle, names, strict=True)]
    above = [max(bars[name]) - value for value, name in zip(middle, names, strict=True)]
    figure, axes = pyplot.subplots(figsize=(9, 0.3 * len(names) + 1.2))
    axes.barh(names, middle, xerr=[below, above], color="#4477aa", ecolor="#333333")
    axes.axvline(1.0, color="#cc3311")
    axes.set_xscale("log")
    axes.set_xlabel("times the peer's rate (median of the rounds, bars from least to most)")
    figure.tight_layout()
    figure.savefig(out, metadata={"Date": None})


if __name__ == "__main__":
    main()
