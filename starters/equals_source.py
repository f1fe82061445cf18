"""Where equals are found: in what Prometheus remembers of instances, or in the records of rollouts."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from analysis.equals import Period
from analysis.equals_periods import of_instances, of_trail, stayed, versions_since
from models.catalog import Service
from models.evidence_trail import RolloutKey
from models.ids import ServiceRef, Version, rollout_id
from models.metric_sources import PrometheusMetrics
from models.record import RolloutRecord
from providers.errors import ProviderError
from providers.roles import Progress
from starters.exits import CommandError, Exit
from starters.past import past_rollouts
from starters.session import Session
from starters.trail_samples import by_time, waiting_here
from workers.wiring import Adapters

_MOST_ROLLOUTS = 1000


class Origin(StrEnum):
    PROMETHEUS = "prometheus"
    RECORDS = "records"


@dataclass(frozen=True)
class Sought:
    """What to look at. Without versions, those that served since then; without rollouts, those that were well."""

    ref: ServiceRef
    service: Service
    since: timedelta
    versions: tuple[Version, ...]
    rollouts: tuple[str, ...]
    share: float


async def found_in_prometheus(session: Session, sought: Sought, progress: Progress) -> list[Period]:
    """Raises CommandError, also where there is nothing to compare."""
    spec = sought.service.metrics
    if not isinstance(spec, PrometheusMetrics):
        raise CommandError(
            f"{sought.ref.service} has no metrics of the provider prometheus; `--from records` learns from rollouts.",
            Exit.BAD_INPUT,
        )
    ends = datetime.now(UTC)
    begins = ends - sought.since
    versions = sought.versions or tuple(
        versions_since(await past_rollouts(session, sought.ref, _MOST_ROLLOUTS), begins)
    )
    if not versions:
        raise CommandError(
            f"No version of {sought.ref.service} is known to have served; name it with --version.", Exit.REFUSED
        )
    periods: list[Period] = []
    seen: set[str] = set()
    async with Adapters(session.settings) as adapters:
        history = adapters.metric_histories[spec.provider]
        for version in versions:
            try:
                instances = await history.instances(sought.ref, spec, version, begins, ends, progress)
            except ProviderError as error:
                raise CommandError(str(error), Exit.UNREACHABLE if error.retryable else Exit.BAD_INPUT) from error
            seen |= set(instances)
            periods += await asyncio.to_thread(of_instances, version, instances, sought.share)
    if not periods:
        raise CommandError(_nothing_beside(spec, versions, seen), Exit.REFUSED)
    return periods


async def found_in_records(session: Session, sought: Sought, progress: Progress) -> list[Period]:
    """Raises CommandError, also where there is nothing to compare."""
    periods: list[Period] = []
    async with session.records() as store:
        progress("rollouts")
        recorded = await store.rollouts(sought.ref, _MOST_ROLLOUTS)
        chosen = _named(recorded, sought) if sought.rollouts else _well(recorded, datetime.now(UTC) - sought.since)
        for record in chosen:
            progress(f"the rollout of {record.version} on {record.started_at:%Y-%m-%d at %H:%M}")
            key = RolloutKey(workflow_id=rollout_id(sought.ref), run_id=record.run_id)
            waiting = await waiting_here(session, key)
            shipped = await store.samples(key)
            name = f"{record.version} beside {record.stable_before} on {record.started_at:%Y-%m-%d %H:%M}"
            periods.append(of_trail(name, by_time(waiting, shipped)))
    if not any(period.minutes for period in periods):
        raise CommandError(_nothing_recorded(sought, chosen), Exit.REFUSED)
    return [period for period in periods if period.minutes]


def _named(recorded: Sequence[RolloutRecord], sought: Sought) -> list[RolloutRecord]:
    """Those whose run ids begin so. Raises CommandError for one that is not there, or not one."""
    found = []
    for name in sought.rollouts:
        matching = [each for each in recorded if each.run_id.startswith(name)]
        exact = [each for each in matching if each.run_id == name] or matching
        if len(exact) != 1:
            known = "are several of" if exact else "is none of"
            raise CommandError(
                f"There {known} the recorded rollouts of {sought.ref.service} with the run id {name}; "
                f"`holdfast history {sought.ref.service} --json` lists them.",
                Exit.BAD_INPUT,
            )
        found += exact
    return list({each.run_id: each for each in found}.values())


def _well(recorded: Sequence[RolloutRecord], since: datetime) -> list[RolloutRecord]:
    return [each for each in stayed(recorded) if each.started_at >= since]


def _nothing_beside(spec: PrometheusMetrics, versions: Sequence[Version], seen: set[str]) -> str:
    if not seen:
        return (
            f"Prometheus remembers nothing of {', '.join(versions)}. Name another version with --version, look "
            "further back with --since, or learn from rollouts with `--from records`."
        )
    return (
        f"By the label {spec.instance_label}, at no time did two instances of one version answer side by side "
        f"(seen: {', '.join(sorted(seen)[:3])}). Name the label that tells them apart with `instance_label`, run more "
        "than one, or learn from rollouts with `--from records`."
    )


def _nothing_recorded(sought: Sought, chosen: Sequence[RolloutRecord]) -> str:
    if chosen:
        return (
            f"Of {len(chosen)} rollouts of {sought.ref.service} nothing was recorded of both versions at the same time."
        )
    return (
        f"No rollout of {sought.ref.service} that was promoted and stayed is recorded since then. Look further back "
        "with --since, or deploy what runs already under another version name, and name that rollout with --rollout."
    )
