"""Draws a rollout as one figure. Colours are of Okabe and Ito, which colour-blind people tell apart, too.

The same input gives the same bytes: no dates, no random ids, and the library's own font.
"""

import io
import warnings
from collections.abc import Iterable, Sequence
from datetime import UTC
from enum import StrEnum

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

from analysis.rollout_view import PHASE_WORDS
from models.evidence_trail import TrailSample
from models.record import RolloutRecord
from models.rollout import Phase
from pictures.panels import FAINT, FINE, GRID, INK, WORSE, draw_error_rate, draw_evidence, draw_p95, draw_weight
from pictures.trail import Moment, Trail
from pictures.words import rows, short, time, time_ticks

_OUTCOME = {Phase.PROMOTED: FINE, Phase.KEEPING: FINE, Phase.ROLLED_BACK: WORSE, Phase.FAILED: WORSE}
_STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": FAINT,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": False,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "lines.solid_capstyle": "round",
    "svg.hashsalt": "holdfast",
    "svg.fonttype": "path",
    "path.simplify": True,
}
_INCHES_WIDE = 9.0
_DOTS_PER_INCH = 144
_TITLE_CHARACTERS = 90
_REASON_CHARACTERS = 230
_REASON_LINE = 110
_ROW = 0.17
_NOTHING = "No samples of this rollout's metrics were kept, so there is nothing to draw."


class Form(StrEnum):
    SVG = "svg"
    PNG = "png"


def draw(record: RolloutRecord, samples: Iterable[TrailSample], forms: Sequence[Form]) -> dict[Form, bytes]:
    """One figure, in each of these forms: weight, error rate, response time where it is known, and evidence."""
    with warnings.catch_warnings(), mpl.rc_context():
        warnings.simplefilter("ignore")  # of characters that the font lacks, which are drawn as boxes
        mpl.rcdefaults()  # whatever style people have set for themselves
        mpl.rcParams.update(_STYLE)  # type: ignore[arg-type]  # it wants literal keys
        figure = _figure(Trail(record, samples))
        return {form: _written(figure, form) for form in forms}


def _written(figure: Figure, form: Form) -> bytes:
    out = io.BytesIO()
    match form:
        case Form.SVG:
            figure.savefig(out, format="svg", metadata={"Date": None, "Creator": "holdfast"})
        case Form.PNG:
            figure.savefig(out, format="png", metadata={"Software": "holdfast"})
    return out.getvalue()


def _figure(trail: Trail) -> Figure:
    """From the top: title and reason, the names of the turning points, one panel below the other."""
    if not trail.samples:
        return _empty_figure(trail)
    panels = [draw_weight, draw_error_rate]
    if not (trail.p95(lambda each: each.of_candidate).empty and trail.p95(lambda each: each.of_stable).empty):
        panels.append(draw_p95)
    panels.append(draw_evidence)
    heights = [{draw_weight: 1.0, draw_evidence: 1.9, draw_p95: 1.0}.get(panel, 1.4) for panel in panels]
    head, foot, between = 1.28 + _ROW * len(_reason(trail.record)), 0.5, 0.42
    high = head + foot + sum(heights) + between * (len(panels) - 1)
    figure = Figure(figsize=(_INCHES_WIDE, high), dpi=_DOTS_PER_INCH, facecolor="white")
    _write_head(figure, trail, high)
    left, wide, top = 0.085, 0.80, high - head
    every: list[Axes] = []
    for panel, height in zip(panels, heights, strict=True):
        axes = figure.add_axes((left, (top - height) / high, wide, height / high))
        axes.set_xlim(trail.begins, trail.ends + 0.015 * (trail.ends - trail.begins))
        axes.grid(visible=True, axis="y", color=GRID, linewidth=0.7)
        axes.set_axisbelow(True)
        axes.tick_params(length=3, width=0.7, labelsize=8)
        panel(axes, trail)
        every.append(axes)
        top -= height + between
    _mark_moments(every, trail)
    _write_times(every, trail)
    return figure


def _empty_figure(trail: Trail) -> Figure:
    high = 2.2
    figure = Figure(figsize=(_INCHES_WIDE, high), dpi=_DOTS_PER_INCH, facecolor="white")
    _write_head(figure, trail, high)
    figure.text(0.5, 0.24, _NOTHING, ha="center", va="center", color=FAINT, fontsize=10)
    return figure


def _write_head(figure: Figure, trail: Trail, high: float) -> None:
    record = trail.record

    def line(inches: float, text: str, **how: object) -> None:
        figure.text(0.02, 1 - inches / high, text, va="baseline", parse_math=False, **how)  # type: ignore[arg-type]

    line(
        0.34, short(f"{record.ref.service} {record.version}", _TITLE_CHARACTERS), fontsize=15, weight="bold", color=INK
    )
    figure.text(
        0.98, 1 - 0.34 / high, PHASE_WORDS[record.phase].upper(), va="baseline", ha="right", fontsize=10, weight="bold",
        color=_OUTCOME.get(record.phase, FAINT),
    )  # fmt: skip
    against = f" against {trail.stable}" if trail.stable else ", the first version"
    asked = f"{record.strategy}{against} in {record.ref.environment}, asked for by {record.requested_by}"
    line(
        0.55,
        short(f"{asked}, {record.started_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC", 130),
        fontsize=8,
        color=FAINT,
    )
    for row, text in enumerate(_reason(record)):
        line(0.80 + _ROW * row, text, fontsize=8.5, color=INK)


def _mark_moments(every: Sequence[Axes], trail: Trail) -> None:
    for axes in every:
        for moment in trail.moments:
            axes.axvline(moment.at, color=INK, linewidth=0.8, linestyle=(0, (1, 2)), zorder=1.5)
    first = every[0]
    span = trail.ends - trail.begins
    for group in _together(trail.moments, span):
        middle = (group[0].at + group[-1].at) / 2
        share = (middle - trail.begins) / span
        side = "left" if share < 0.1 else "right" if share > 0.8 else "center"  # noqa: PLR2004 - of the panel's width
        first.annotate(
            " · ".join(f"{moment.name} {time(moment.at, span)}" for moment in group), (middle, 1.0),
            xycoords=("data", "axes fraction"), xytext=(0, 4), textcoords="offset points", ha=side, va="bottom",
            fontsize=8, color=INK,
        )  # fmt: skip


def _together(moments: Sequence[Moment], span: float) -> list[list[Moment]]:
    """Those too close for a word each are named together."""
    groups: list[list[Moment]] = []
    for moment in sorted(moments, key=lambda each: each.at):
        if groups and moment.at - groups[-1][-1].at < 0.16 * span:
            groups[-1].append(moment)
        else:
            groups.append([moment])
    return groups


def _write_times(every: Sequence[Axes], trail: Trail) -> None:
    span = trail.ends - trail.begins
    locator = time_ticks(trail.begins, trail.ends)
    for axes in every:
        axes.xaxis.set_major_locator(FixedLocator(locator))
        axes.xaxis.set_major_formatter(NullFormatter())
    last = every[-1]
    last.xaxis.set_major_formatter(FuncFormatter(lambda value, _: time(value, span, round_to_unit=True)))
    since = "it had traffic" if trail.record.exposed_at else "it was watched"
    last.set_xlabel(f"time since {since}", fontsize=8)


def _reason(record: RolloutRecord) -> list[str]:
    return rows(short(record.reason, _REASON_CHARACTERS), _REASON_LINE)
