"""Grafana's webhook contact point:
https://grafana.com/docs/grafana/latest/alerting/configure-notifications/manage-contact-points/integrations/webhook-notifier/
"""

from pydantic import JsonValue

from analysis.alert_making import Naming
from analysis.alert_reading import Reading, each_of, whole_of
from analysis.alertmanager_alerts import one_alert, with_truncated
from models.alert import Normalised

SOURCE = "grafana"


def from_grafana(body: JsonValue, naming: Naming) -> Normalised:
    """Every alert of a group; what was measured is in `values`, under the names of the rule's expressions."""

    def read() -> Normalised:
        reading = Reading.of(body)
        found = each_of(reading.items("alerts"), lambda item, index: one_alert(item, index, SOURCE, naming))
        return with_truncated(found, reading, "Max Alerts")

    return whole_of(read)
