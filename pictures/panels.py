"""The panels of a rollout's figure: each draws one thing over time."""

import math
from collections.abc import Sequence
from itertools import cycle
from typing import Literal, TypedDict

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator
from matplotlib.transforms import blended_transform_factory

from pictures.trail import Line, Trail, levels, scattered
from pictures.words import short

CANDIDATE, STABLE = "#0072B2", "#7A7A7A"
WORSE, FINE = "#D55E00", "#009E73"
INK, FAINT, GRID = "#222222", "#666666", "#E3E3E3"


_LineStyle = Literal["-", "--", ":", "-."]
_Key = tuple[str, str, _LineStyle]
"""What a line of the legend says, its colour and its style."""


class _Dashed(TypedDict):
    linewidth: float
    linestyle: tuple[float, tuple[float, ...]]
    alpha: float


_LINE_STYLES: tuple[_LineStyle, ...] = ("-", "--", ":", "-.")
_DASHED: _Dashed = {"linewidth": 0.9, "linestyle": (0, (5, 3)), "alpha": 0.75}
_NAMED_METRICS = 4
_ABOVE_MOMENTS = 20.0
_MARKED_UP_TO = 40


def draw_weight(axes: Axes, trail: Trail) -> None:
    _name(axes, f"Share of the traffic that {short(trail.record.version, 60)} had", [], pad=_ABOVE_MOMENTS)
    weight = trail.weight()
    axes.fill_between(weight.at, weight.values, step="post", color=CANDIDATE, alpha=0.15, linewidth=0)
    axes.plot(weight.at, weight.values, drawstyle="steps-post", color=CANDIDATE, linewidth=1.6)
    axes.set_ylim(0, 108)
    axes.set_yticks([0, 50, 100])
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}%"))


def draw_error_rate(axes: Axes, trail: Trail) -> None:
    lines = [
        (trail.error_rate(lambda each: each.of_stable), STABLE),
        (trail.error_rate(lambda each: each.of_candidate), CANDIDATE),
    ]
    _name(axes, "Error rate", _versions(trail), unseen=bool(trail.unseen()))
    for begins, ends in trail.unseen():
        axes.axvspan(begins, ends, facecolor="#F2F2F2", edgecolor="#D0D0D0", hatch="///", linewidth=0)
    for line, color in lines:
        _plot(axes, line, color)
    highest = max((value for line, _ in lines for value in line.values if not math.isnan(value)), default=0.0)
    axes.set_ylim(0, max(highest * 1.15, 0.5))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}%"))
    if all(line.empty for line, _ in lines):
        _say(axes, "No requests were counted.")


def draw_p95(axes: Axes, trail: Trail) -> None:
    _name(axes, "Response time, p95", _versions(trail))
    lines = [trail.p95(lambda each: each.of_stable), trail.p95(lambda each: each.of_candidate)]
    for line, color in zip(lines, (STABLE, CANDIDATE), strict=True):
        _plot(axes, line, color)
    highest = max(value for line in lines for value in line.values if not math.isnan(value))
    axes.set_ylim(0, max(highest * 1.15, 1e-3))
    axes.yaxis.set_major_locator(MaxNLocator(3))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} ms"))


def draw_evidence(axes: Axes, trail: Trail) -> None:
    metrics, version = trail.metrics, short(trail.record.version, 20)
    styles = dict(zip(metrics, cycle(_LINE_STYLES), strict=False))
    keys: list[_Key] = [(f"{version} is worse", WORSE, "-"), (f"{version} is good enough", FINE, "-")]
    if len(metrics) > 1:
        keys += [(short(metric.replace("_", " "), 24), INK, styles[metric]) for metric in metrics[:_NAMED_METRICS]]
    only = metrics[0].replace("_", " ") if len(metrics) == 1 else ""
    title = f"Evidence from {short(only, 30)}" if only else "Evidence"
    _name(axes, title, keys if metrics else [])
    axes.set_yscale("log")
    low, high = 0.1, 100.0
    needed: dict[str, set[float]] = {WORSE: set(), FINE: set()}
    for metric in metrics:
        for line, limit, color in (
            (trail.worse(metric), trail.worse_needed(metric), WORSE),
            (trail.fine(metric), trail.fine_needed(metric), FINE),
        ):
            _plot(axes, line, color, styles[metric])
            needed[color].update(_draw_needed(axes, limit, color))
            known = [value for value in (*line.values, *limit.values) if not math.isnan(value)]
            low, high = min([low, *known]), max([high, *known])
    low = max(low, 0.01)
    axes.set_ylim(low / 1.5, high * 2.5)
    axes.yaxis.set_major_locator(LogLocator(base=10, numticks=6))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}"))
    _write_needed(axes, [(value, color) for color, values in needed.items() for value in values])
    if not metrics:
        _say(axes, "No evidence was gathered.")


def _draw_needed(axes: Axes, limit: Line, color: str) -> Sequence[float]:
    """All along where it stays the same. Returns what it is at the end, if there is one."""
    *before, now = levels(limit) or [math.nan]
    if before:
        axes.plot(limit.at, limit.values, color=color, **_DASHED)
    elif not math.isnan(now):
        axes.axhline(now, color=color, **_DASHED)
    return [] if math.isnan(now) else [now]


def _write_needed(axes: Axes, needed: Sequence[tuple[float, str]]) -> None:
    """Beside their lines, moved up where they would overlap."""
    low, high = (math.log10(limit) for limit in axes.get_ylim())
    beside = blended_transform_factory(axes.transAxes, axes.transAxes)
    lowest = 0.0
    for value, color in sorted(needed):
        height = max((math.log10(value) - low) / (high - low), lowest)
        axes.text(
            1.01, height, f"{value:,.4g} needed", transform=beside, color=color, fontsize=7.5, va="center", ha="left"
        )
        lowest = height + 0.085


def _plot(axes: Axes, line: Line, color: str, style: _LineStyle = "-") -> None:
    marker = "o" if len(line.at) <= _MARKED_UP_TO else None
    axes.plot(line.at, line.values, color=color, linewidth=1.5, linestyle=style, marker=marker, markersize=3)
    alone = scattered(line)
    axes.plot(alone.at, alone.values, color=color, linestyle="none", marker="o", markersize=3.5)


def _name(axes: Axes, title: str, keys: Sequence[_Key], *, unseen: bool = False, pad: float = 6.0) -> None:
    """Title and legend above the panel, where no line can run through them."""
    axes.set_title(title, loc="left", fontsize=9.5, color=INK, weight="bold", pad=pad, parse_math=False)
    handles: list[Line2D | Patch] = [
        Line2D([], [], color=color, linestyle=style, linewidth=1.8) for _, color, style in keys
    ]
    labels = [label for label, _, _ in keys]
    if unseen:
        handles.append(Patch(facecolor="#F2F2F2", edgecolor="#C0C0C0", hatch="///", linewidth=0))
        labels.append("metrics could not be read")
    if not handles:
        return
    legend = axes.legend(
        handles, labels, loc="lower right", bbox_to_anchor=(1.0, 0.985), ncol=len(handles), frameon=False, fontsize=8,
        handlelength=1.8, columnspacing=1.4, borderaxespad=0.0, borderpad=0.3, labelcolor=INK,
    )  # fmt: skip
    for text in legend.get_texts():
        text.set_parse_math(False)


def _versions(trail: Trail) -> list[_Key]:
    stable: list[_Key] = [(short(trail.stable, 30), STABLE, "-")] if trail.stable else []
    return [(short(trail.record.version, 30), CANDIDATE, "-"), *stable]


def _say(axes: Axes, sentence: str) -> None:
    axes.text(0.5, 0.5, sentence, transform=axes.transAxes, ha="center", va="center", color=FAINT, fontsize=9)
