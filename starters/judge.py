"""`holdfast judge`: what the judge of new versions goes by, and how often it is wrong."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from analysis.equals import (
    FEWEST_BAD,
    Period,
    Standing,
    crossed_trials,
    learnt,
    rate_of,
    standing,
    total,
    trials,
    watches,
)
from analysis.equals_periods import usual_share
from analysis.equals_view import doubts, report_lines
from models.equals import EqualsRate, EqualsReport
from models.ids import Version
from models.judge_spec import CompareSpec, NoiseSpec
from models.metric_sources import PrometheusMetrics
from models.mistakes import MistakeError
from models.quantities import parse_duration, parse_percent
from providers.roles import Progress
from starters.equals_source import Origin, Sought, found_in_prometheus, found_in_records
from starters.exits import CommandError, Exit
from starters.options import CatalogOption, JsonOption, ServiceArgument
from starters.output import print_json
from starters.session import Session, parse_version

app = typer.Typer(help="See what the judge of new versions goes by.", no_args_is_help=True)

_LONGEST = timedelta(days=365)
_SOURCES = {Origin.PROMETHEUS: "Prometheus", Origin.RECORDS: "the records of rollouts"}


@app.command()
def noise(
    service: ServiceArgument,
    since: Annotated[str, typer.Option("--since", metavar="DURATION", help="how far to look back, like 7d")] = "7d",
    origin: Annotated[
        Origin | None,
        typer.Option("--from", help="instances in Prometheus, or recorded rollouts; else by the catalog's metrics"),
    ] = None,
    version: Annotated[
        list[str] | None,
        typer.Option("--version", metavar="VERSION", help="in Prometheus; may be repeated; else those that served"),
    ] = None,
    share: Annotated[
        str | None,
        typer.Option(
            "--share", metavar="PERCENT", help="of the instances that make a group; else the weight of a first step"
        ),
    ] = None,
    rollout: Annotated[
        list[str] | None,
        typer.Option(
            "--rollout",
            metavar="ID",
            help="a recorded rollout of two equal versions, by the beginning of its run id; may be repeated; else "
            "those that were promoted and stayed",
        ),
    ] = None,
    catalog: CatalogOption = None,
    as_json: JsonOption = False,
) -> None:
    """Learn what equal versions do by themselves, and measure how often the judge takes that for a worse version.

    Prints the block for the catalog. The exit code is 1 when even with it the judge is wrong more often than promised.
    """
    session = Session.open(catalog)
    ref, described = session.service(service)
    by_catalog = Origin.PROMETHEUS if isinstance(described.metrics, PrometheusMetrics) else Origin.RECORDS
    chosen = origin or (Origin.RECORDS if rollout else by_catalog)
    _check_options(chosen, version, rollout)
    sought = Sought(
        ref=ref,
        service=described,
        since=_since(since),
        versions=tuple(_versions(version)),
        rollouts=tuple(rollout or ()),
        share=_share(share) if share is not None else usual_share(described),
    )
    find = found_in_prometheus if chosen is Origin.PROMETHEUS else found_in_records
    with _progress() as progress:
        periods = asyncio.run(find(session, sought, lambda what: progress(f"reading {what}")))
        report = _report(
            service,
            _SOURCES[chosen],
            periods,
            described.rollout.judge.compare,
            progress,
            only_promoted=chosen is Origin.RECORDS and not rollout,
        )
    if as_json:
        print_json(report)
    else:
        for line in report_lines(report):
            typer.echo(line)
        for doubt in report.doubts:
            typer.echo(doubt, err=True)
    raise typer.Exit(Exit.NEGATIVE if _is_broken(report) else Exit.OK)


def _report(
    service: str,
    source: str,
    periods: Sequence[Period],
    compare: CompareSpec,
    progress: Progress,
    *,
    only_promoted: bool,
) -> EqualsReport:
    spec, seen = compare.evidence, total(periods)
    progress("learning from what was read")
    found = NoiseSpec.of(learnt(periods)) if seen.bad >= FEWEST_BAD else None
    count = sum(1 for period in periods for _ in watches(period))

    def measured(outcomes: Iterable[bool], how: str) -> EqualsRate:
        return rate_of(_counted(outcomes, lambda done: progress(f"judging {how}: {done} of about {count} watches")))

    as_set = measured(trials(periods, spec, compare.error_noise), "as the catalog stands")
    with_noise = measured(crossed_trials(periods, spec), "with what was learnt") if found else None
    return EqualsReport(
        service=service,
        source=source,
        periods=tuple(period.name for period in periods),
        minutes=seen.minutes,
        requests=seen.requests,
        bad=seen.bad,
        promised=spec.alpha,
        noise=found,
        as_set=as_set,
        with_noise=with_noise,
        doubts=tuple(doubts(seen, with_noise, spec.alpha, only_promoted=only_promoted)),
    )


def _counted(outcomes: Iterable[bool], tell: Callable[[int], None]) -> Iterator[bool]:
    for done, outcome in enumerate(outcomes, start=1):
        tell(done)
        yield outcome


def _is_broken(report: EqualsReport) -> bool:
    return report.with_noise is not None and standing(report.with_noise, report.promised) is Standing.BROKEN


@contextmanager
def _progress() -> Iterator[Progress]:
    """A line on a terminal that says what is done just now; nothing elsewhere."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    with console.status("") as status:
        yield lambda what: status.update(Text(what))


def _check_options(origin: Origin, versions: Sequence[str] | None, rollouts: Sequence[str] | None) -> None:
    if origin is Origin.PROMETHEUS and rollouts:
        raise CommandError("--rollout names what is in the records, so not with `--from prometheus`.", Exit.BAD_INPUT)
    if origin is Origin.RECORDS and versions:
        raise CommandError(
            "--version names what Prometheus is asked about; of the records, name rollouts with --rollout.",
            Exit.BAD_INPUT,
        )


def _since(text: str) -> timedelta:
    try:
        since = parse_duration(text)
    except MistakeError as error:
        raise CommandError(f"--since: {error}", Exit.BAD_INPUT) from error
    if not timedelta(0) < since <= _LONGEST:
        raise CommandError(f"--since: {text} is not above 0s and up to {_LONGEST.days}d.", Exit.BAD_INPUT)
    return since


def _share(text: str) -> float:
    try:
        share = parse_percent(text)
    except MistakeError as error:
        raise CommandError(f"--share: {error}", Exit.BAD_INPUT) from error
    if share <= 0:
        raise CommandError("--share: a group has more than 0% of the instances.", Exit.BAD_INPUT)
    return share / 100


def _versions(given: Sequence[str] | None) -> list[Version]:
    return list(dict.fromkeys(parse_version(each) for each in given or ()))
