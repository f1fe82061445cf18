"""What equals taught, in words, and what that does not show."""

import math

from analysis.equals import FEWEST_BAD, WHOLE_PAST, Standing, Sums, standing, watches_needed
from models.equals import EqualsRate, EqualsReport
from models.judge_spec import NoiseSpec
from models.quantities import format_percent

_MINUTES_OF_A_WATCH = 60
_STANDINGS = {
    Standing.KEPT: "kept",
    Standing.BROKEN: "broken",
    Standing.OPEN: "too few to tell",
}


def report_lines(report: EqualsReport) -> list[str]:
    """All of it but the doubts."""
    seen = f"{report.minutes:,.0f} minutes, {report.requests:,.0f} requests, {report.bad:,.0f} of them bad"
    lines = [f"{report.service} beside itself, {_from(report)}: {seen}"]
    if report.noise:
        lines += ["", *_noise_lines(report.noise)]
        lines += ["", "For the catalog, in rollout.judge of the service:", "", *catalog_lines(report.noise)]
    lines += ["", f"Equals rolled back, of watches of up to an hour (promised: at most {_share(report.promised)}):"]
    lines.append(f"  by the catalog as it stands  {rate_words(report.as_set, report.promised)}")
    if report.with_noise:
        lines.append(f"  with this noise              {rate_words(report.with_noise, report.promised)}")
    return lines


def catalog_lines(noise: NoiseSpec) -> list[str]:
    written = {
        name: format_percent(value) if name in NoiseSpec.SHARES else _number(value)
        for name, value in noise
        if value or NoiseSpec.model_fields[name].is_required()
    }
    return ["compare:", f"  noise: {{{', '.join(f'{name}: {value}' for name, value in written.items())}}}"]


def rate_words(rate: EqualsRate, promised: float) -> str:
    if not rate.watches:
        return "none to look at"
    share = rate.rolled_back / rate.watches
    return (
        f"{rate.rolled_back} of {rate.watches}, {_share(share)} (95% interval {_share(rate.low)} to "
        f"{_share(rate.high)}): {_STANDINGS[standing(rate, promised)]}"
    )


def doubts(seen: Sums, with_noise: EqualsRate | None, promised: float, *, only_promoted: bool) -> list[str]:
    """What this past cannot tell, and what to do about it."""
    found = []
    if seen.bad < FEWEST_BAD:
        found.append(
            f"Only {seen.bad:,.0f} requests were bad, and noise is not learnt from fewer than {FEWEST_BAD:.0f}: what "
            "is assumed stays. Look further back with --since, or wait."
        )
    elif seen.minutes < WHOLE_PAST:
        found.append(
            f"{seen.minutes:,.0f} minutes are little: what wanders slowly does not show in less than "
            f"{WHOLE_PAST:.0f}, so the noise is not taken for less than is assumed anyhow."
        )
    if with_noise is not None and (doubt := _about_the_rate(with_noise, promised)):
        found.append(doubt)
    if only_promoted:
        found.append(
            "Only rollouts that were promoted count as equals here. What the judge took back by mistake is not among "
            "them, so the rates look better than they are, and a version that was a little worse makes the noise "
            "larger. --rollout names rollouts of which you know that both versions were the same."
        )
    return found


def _about_the_rate(rate: EqualsRate, promised: float) -> str | None:
    match standing(rate, promised):
        case Standing.KEPT:
            return None
        case Standing.OPEN:
            return (
                f"{rate.watches} watches are too few to tell whether at most {_share(promised)} are rolled back; "
                f"{watches_needed(promised):,} show it, if none of them is."
            )
        case Standing.BROKEN:
            return (
                "Even with what one half of the time taught, more are rolled back in the other than promised: the "
                "noise is not the same all the time. Look further back with --since, or write a larger `own`."
            )


def _noise_lines(noise: NoiseSpec) -> list[str]:
    apart = math.sqrt(noise.own / _MINUTES_OF_A_WATCH)
    at_once = "as many minutes' errors came at once in one group" if noise.burst > 0 else "no burst of one group"
    rows = [
        ("own", _number(noise.own), f"over an hour, the rates of two equal groups differ by some {apart:.0%}"),
        ("burst", _number(noise.burst), at_once),
    ]
    if noise.spell > 0:
        rows.append(("spell", _number(noise.spell), "minutes for which two equal groups stay apart"))
        rows.append(
            ("swing", _number(noise.swing), f"so long their rates differ by some {math.expm1(noise.swing):.0%}")
        )
    if noise.bursts > 0:
        rows.append(("bursts", format_percent(noise.bursts), "of one group's minutes have a burst"))
    rows.append(("rate", format_percent(noise.rate), "of all requests were bad"))
    return [f"{name:<6} {value:>8}  {words}" for name, value, words in rows]


def _from(report: EqualsReport) -> str:
    count = len(report.periods)
    return f"by {report.source}, {count} {'pair' if count == 1 else 'pairs'} of groups"


def _share(share: float) -> str:
    return f"{float(f'{100 * share:.2g}'):g}%"


def _number(value: float) -> str:
    return f"{value:.10f}".rstrip("0").rstrip(".")
