"""How much of what rules find is kept and said at once: Temporal carries 2 MiB in one piece, and fails for good what
would be larger, just when everything is down.
"""

from collections.abc import Iterable

from models.alert_rules import ActiveAlert, RuleSet

MOST_ALERTS_OF_A_SET = 1_000

ROOM = 512 * 2**10
"""Bytes of alerts that stand. With the rules, and with what has just changed, they make one payload."""

SAID_AT_ONCE = 256 * 2**10
"""Bytes of changes of one watch; the next one, which begins at once, says what is left."""

LARGEST_RULES = 2**20
"""Bytes of a set's rules, with the incidents' part of the catalog, beside which all that stands still fits."""

BOUNDS = f"{MOST_ALERTS_OF_A_SET} alerts of a set are kept, and {ROOM // 2**10} KiB of them"


class Room:
    """What is left for more alerts beside those that stand."""

    def __init__(self, standing: Iterable[ActiveAlert]) -> None:
        weights = [_weight(alert) for alert in standing]
        self._number, self._bytes = MOST_ALERTS_OF_A_SET - len(weights), ROOM - sum(weights)

    def takes(self, alert: ActiveAlert) -> bool:
        weight = _weight(alert)
        if self._number < 1 or weight > self._bytes:
            return False
        self._number, self._bytes = self._number - 1, self._bytes - weight
        return True


class Part:
    """What may still be said of changes; the first always may."""

    def __init__(self) -> None:
        self._said = 0

    def takes(self, alert: ActiveAlert) -> bool:
        weight = _weight(alert)
        if self._said and self._said + weight > SAID_AT_ONCE:
            return False
        self._said += weight
        return True


def is_too_large(rules: RuleSet) -> bool:
    return len(rules.model_dump_json().encode()) > LARGEST_RULES


def _weight(alert: ActiveAlert) -> int:
    return len(alert.model_dump_json().encode())
