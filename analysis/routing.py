"""Where an alert goes: the routing tree, gone through from the top, the first match at each branching."""

from analysis.dedupe import group_key
from analysis.matching import all_hold, label_of
from models.alert import Alert
from models.incident_spec import DEFAULT_POLICY, IncidentsSpec, Route
from models.severity import Severity


def route_of(alert: Alert, spec: IncidentsSpec) -> Route:
    """What the routes that match say together: a deeper one's word counts, what it leaves out is taken from above."""
    found = Route(policy=DEFAULT_POLICY, group_by=spec.group_by)
    routes = spec.routes
    while True:
        route = next((each for each in routes if all_hold(each.match, alert)), None)
        if route is None:
            return found
        said = route.model_dump(exclude={"match", "routes"}, exclude_none=True)
        found = found.model_copy(update={name: getattr(route, name) for name in said})
        routes = route.routes


def incident_key(alert: Alert, group_by: tuple[str, ...]) -> str:
    """The key of the incident that an alert belongs to: its own without grouping, else that of what it shares."""
    if not group_by:
        return alert.dedupe_key
    shared = [(name, label_of(alert, name)) for name in group_by]
    return group_key(shared, hint=" ".join(value for _, value in shared if value))


def severity_for(alert: Alert, spec: IncidentsSpec, route: Route) -> Severity:
    """The route's word before the rules', the rules' before the sender's."""
    if route.severity is not None:
        return route.severity
    by_rule = next((rule.severity for rule in spec.severity if all_hold(rule.when, alert)), None)
    return by_rule or alert.severity or spec.default_severity
