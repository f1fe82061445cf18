"""Do the candidate's instances end by themselves? A hard limit beside the statistics: it holds without any traffic.

Only what the watch itself saw alive can end: a worker that cannot see the instances' host never concludes anything.
Nor do ends count while the stable version loses instances too: then the host went, or somebody who kills at random.
"""

from datetime import timedelta

from analysis.rollout_plan import count_instances
from models.crashes import Crashes, CrashLoopSpec
from models.deployment import Instances
from models.ids import Group, Version
from models.quantities import format_duration


def looked(
    crashes: Crashes,
    instances: Instances,
    spec: CrashLoopSpec,
    *,
    candidate: Version,
    stable: Group | None,
    at: timedelta,
) -> Crashes:
    """After one look at all instances of the service, `at` so much time since the watch began. Ends that no longer
    count are forgotten, as a gate's watch may go on for days.
    """
    alive, beside = _named(instances, candidate), _named(instances, stable)
    host_went = not set(crashes.stable) <= set(beside)
    ended = 0 if host_went else len(set(crashes.candidate) - set(alive))
    recent = (moment for moment in crashes.ended if at - moment <= spec.window)
    return Crashes(candidate=alive, stable=beside, ended=(*recent, *(at for _ in range(ended))))


def crash_loop(crashes: Crashes, spec: CrashLoopSpec, version: Version, *, at: timedelta) -> str | None:
    """Why the version counts as crashing; None while it does not."""
    ended = sum(at - moment <= spec.window for moment in crashes.ended)
    within = f"{count_instances(ended)} of {version} ended by {'itself' if ended == 1 else 'themselves'} within"
    if ended > spec.at_most:
        return f"{within} {format_duration(spec.window)}; {spec.at_most} may"
    if ended and not crashes.candidate:
        return f"{within} {format_duration(spec.window)}, and none is left"
    return None


def _named(instances: Instances, version: Group | None) -> tuple[str, ...]:
    named = (f"{one.name}@{one.started_at:%d%H%M%S%f}" for one in instances.instances if one.version == version)
    return tuple(sorted(named))
