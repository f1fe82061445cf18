"""What was measured, as a table, and whether it is what was promised."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.judge_cells import BUSY, CLEARLY_WORSE
from benchmarks.judge_measure import OURS, Measured, Outcome
from benchmarks.judge_speed import METRICS, MOST_MILLISECONDS
from benchmarks.judge_watch import Watched
from models.evidence import EvidenceSpec

KAYENTA = ("kayenta once", "kayenta growing", "kayenta sliding")
SHORT = {
    OURS: "holdfast",
    "kayenta once": "K once",
    "kayenta growing": "K growing",
    "kayenta sliding": "K sliding",
    "argo limit": "Argo",
    "argo consecutive": "Argo cons.",
    "flagger": "Flagger",
}
MUCH_WORSE, QUIET, NEARLY_ALL, FEW = 5.0, 20, 0.99, 0.05
SMALL = 0.02


@dataclass(frozen=True)
class Check:
    text: str
    held: bool
    binding: bool = True


def table(measured: Sequence[Measured]) -> Iterator[str]:
    yield "Rolled back, median and p95 delay in minutes, and bad requests served by the candidate (mean)."
    width = max(len(each.cell.name) for each in measured)
    yield f"{'cell':<{width}} {'holdfast rolls back':>24} {'p50':>6} {'p95':>6} {'promotes':>9} {'bad':>8}  " + "".join(
        f"{SHORT[name] + ': back':>17}{'bad':>8}" for name in list(SHORT)[1:]
    )
    for each in measured:
        ours = each.outcomes[OURS]
        interval = f"{_percent(ours.rolled_back)} ({_percent(ours.low)}-{_percent(ours.high)})"
        line = f"{each.cell.name:<{width}} {interval:>24} {_minutes(ours.median):>6} {_minutes(ours.p95):>6} "
        line += f"{_percent(each.promoted):>9} {ours.bad_served:>8.0f}  "
        for name in list(SHORT)[1:]:
            other = each.outcomes[name]
            line += f"{_percent(other.rolled_back):>17}{other.bad_served:>8.0f}"
        yield line


def checks(measured: Sequence[Measured], spec: EvidenceSpec) -> list[Check]:
    return [
        *_false_rollbacks(measured, spec.alpha),
        *_false_promotions(measured, spec),
        *_against_kayenta(measured, spec.alpha),
        *_quiet_service(measured),
    ]


def watch_checks(watches: Sequence[Watched]) -> Iterator[Check]:
    for each in watches:
        delays = ", ".join(f"{ratio} after {minutes:.0f} min" for ratio, minutes in each.delays.items())
        text = f"after promotion, {each.noise}: false alarms every {each.asked / 60:.0f} h or more rarely: "
        yield Check(text + f"{each.alarms} in {each.watched / 60:,.0f} h; noticed (median): {delays}", held=each.held)


def speed_check(milliseconds: float, size: int) -> Check:
    text = (
        f"a judgement of {METRICS} metrics takes under {MOST_MILLISECONDS:g} ms of a processor: {milliseconds:.2f} ms"
    )
    return Check(f"{text}; a metric's evidence is {size} bytes", held=milliseconds < MOST_MILLISECONDS)


def _false_rollbacks(measured: Sequence[Measured], alpha: float) -> Iterator[Check]:
    null = [each for each in measured if each.cell.is_null or each.cell.onset]
    if not null:
        return
    over = [each for each in null if each.outcomes[OURS].false > alpha]
    worst = max(null, key=lambda each: each.outcomes[OURS].false)
    text = (
        f"false rollbacks at most {alpha:.0%} in each of {len(null)} cells "
        f"(most: {_percent(worst.outcomes[OURS].false)}, {worst.cell.name})"
    )
    if over:
        text += "; over it: " + "; ".join(f"{each.cell.name} {_percent(each.outcomes[OURS].false)}" for each in over)
    yield Check(text, held=not over)
    for name in (*KAYENTA, "argo limit", "argo consecutive", "flagger"):
        above = sum(each.outcomes[name].false > alpha for each in null)
        most = max(each.outcomes[name].false for each in null)
        yield Check(
            f"  for comparison, {name}: over {alpha:.0%} in {above} of them, {_percent(most)} at most", True, False
        )


def _false_promotions(measured: Sequence[Measured], spec: EvidenceSpec) -> Iterator[Check]:
    bad = [each for each in measured if each.cell.ratio > 1 + spec.tolerance and not each.cell.onset]
    if bad:
        worst = max(bad, key=lambda each: each.promoted)
        yield Check(
            f"over {1 + spec.tolerance:g} times as bad called good enough at most {spec.beta:.0%} in each of "
            f"{len(bad)} cells (most: {_percent(worst.promoted)}, {worst.cell.name})",
            held=worst.promoted <= spec.beta,
        )


def _against_kayenta(measured: Sequence[Measured], alpha: float) -> Iterator[Check]:
    """Binding against its rule as it is documented, one look at the end, and against repeated looks wherever they keep
    the promise that we make. Where they break it they roll everything back sooner, the good with the bad; they are
    told beside, as they are and with their confidence raised until they keep it.
    """
    asked = [each for each in measured if each.cell.ratio >= CLEARLY_WORSE and each.cell.traffic >= BUSY]
    where = f"at ratio >= {CLEARLY_WORSE} and >= {BUSY}/min"
    once, *repeated = KAYENTA
    if asked:
        beside = [(each, each.outcomes[once]) for each in asked]
        yield _fewer(f"fewer bad requests than {once}, {where}", beside)
    for rule in repeated if asked else ():
        keeps = [(each, each.outcomes[rule]) for each in asked if each.honest[rule].false <= alpha]
        yield _fewer(
            f"fewer bad requests than {rule}, {where}, where it keeps {alpha:.0%} in the same cell at x1", keeps
        )
        breaks = [each for each in asked if each.honest[rule].false > alpha]
        raised = [(each, each.honest[rule].outcome) for each in breaks]
        words = f"  for comparison, fewer bad requests than {rule} where it breaks that, with its confidence raised"
        yield _fewer(f"{words} until it keeps it", raised, binding=False)
        lost = [each for each in breaks if _served(each) >= each.outcomes[rule].bad_served]
        told = "; ".join(
            f"{_beside(each, each.outcomes[rule])[:-1]}; {_percent(each.honest[rule].false)} false)" for each in lost
        )
        yield Check(
            f"  for comparison, {rule} as it is, with those false rollbacks: it serves fewer bad requests in "
            f"{len(lost)} of {len(breaks)} cells{': ' if told else ''}{told}",
            held=True,
            binding=False,
        )


def _fewer(words: str, beside: Sequence[tuple[Measured, Outcome]], *, binding: bool = True) -> Check:
    lost = [(each, other) for each, other in beside if _served(each) >= other.bad_served]
    text = f"{words}: {len(beside) - len(lost)} of {len(beside)} cells"
    if lost:
        text += "; not: " + "; ".join(_beside(each, other) for each, other in lost)
    return Check(text, held=not lost, binding=binding)


def _served(each: Measured) -> float:
    return each.outcomes[OURS].bad_served


def _quiet_service(measured: Sequence[Measured]) -> Iterator[Check]:
    quiet = [
        each
        for each in measured
        if each.cell.ratio == MUCH_WORSE
        and each.cell.traffic <= QUIET
        and each.cell.noise == "independent"
        and not each.cell.lost
        and not each.cell.outage
        and not each.cell.onset
    ]
    for each in quiet:
        found, once = each.outcomes[OURS].rolled_back, each.outcomes["kayenta once"].rolled_back
        growing = each.outcomes["kayenta growing"].rolled_back
        binding = each.cell.traffic == QUIET and each.cell.share <= FEW
        text = (
            f"5 times the errors found within 60 min in 99%: {_percent(found)} at {each.cell.name} "
            f"(Mann-Whitney once {_percent(once)}, growing {_percent(growing)})"
        )
        yield Check(text, held=found >= NEARLY_ALL, binding=binding)


def _beside(each: Measured, other: Outcome) -> str:
    return f"{each.cell.name} ({_served(each):.0f} against {other.bad_served:.0f})"


def _percent(share: float) -> str:
    return f"{100 * share:.2f}%" if 0 < share < SMALL else f"{100 * share:.1f}%"


def _minutes(minutes: float | None) -> str:
    return "-" if minutes is None else f"{minutes:.1f}"
