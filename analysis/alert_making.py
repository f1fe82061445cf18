"""An alert of ours out of what was read of a sender's: names made ours, long texts cut, the rest checked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError

from analysis.alert_reading import as_understood
from analysis.dedupe import as_name, dedupe_key
from analysis.sender_severity import severity_of
from models.alert import (
    LONGEST_ANNOTATION,
    LONGEST_DESCRIPTION,
    LONGEST_TITLE,
    LONGEST_URL,
    MOST_LINKS,
    Alert,
    AlertStatus,
)
from models.catalog import Catalog
from models.severity import Severity

_LONGEST_LINK_TITLE = 200
_LONGEST_ID = 512


@dataclass(frozen=True)
class Naming:
    """How an alert's service and environment are found: the catalog's words on it."""

    environment: str
    service_labels: tuple[str, ...] = ("service", "app", "job")
    environment_labels: tuple[str, ...] = ("environment", "env")
    unrouted: str = "unrouted"

    @classmethod
    def of(cls, catalog: Catalog) -> "Naming":
        spec = catalog.incidents
        return cls(catalog.environment, spec.service_labels, spec.environment_labels, spec.unrouted)

    def service(self, labels: Mapping[str, str], said: str = "") -> str:
        return _first(labels, self.service_labels, said) or self.unrouted

    def environment_of(self, labels: Mapping[str, str], said: str = "") -> str:
        return _first(labels, self.environment_labels, said) or self.environment


@dataclass(frozen=True)
class Draft:
    """What was read. `identity` is the same when the same thing fires and clears; so are `service`, `environment` and
    the labels that name them, or what clears would look for another incident.
    """

    source: str
    identity: str
    status: AlertStatus
    title: str
    source_id: str = ""
    hint: str = ""
    service: str = ""
    environment: str = ""
    description: str = ""
    severity: Severity | str | None = None
    labels: Mapping[str, str] | None = None
    naming_labels: Mapping[str, str] | None = None
    annotations: Mapping[str, str] | None = None
    values: Mapping[str, float] | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    links: Sequence[tuple[str, str]] = ()


def make_alert(draft: Draft, naming: Naming, path: str = "") -> Alert:
    """Raises NotUnderstoodError. Texts for people are cut where they are too long; labels are not, as rules read them.

    Labels name service and environment, unless the draft has others for that.
    """
    labels = dict(draft.labels or {})
    names = labels if draft.naming_labels is None else draft.naming_labels
    said = draft.severity
    fields = {
        "source": draft.source,
        "source_id": draft.source_id[:_LONGEST_ID],
        "dedupe_key": dedupe_key(draft.source, draft.identity, draft.hint),
        "status": draft.status,
        "service": naming.service(names, draft.service),
        "environment": naming.environment_of(names, draft.environment),
        "title": cut(draft.title, LONGEST_TITLE),
        "description": cut(draft.description, LONGEST_DESCRIPTION),
        "severity": said if isinstance(said, Severity) else severity_of(said or labels.get("severity", "")),
        "labels": labels,
        "annotations": {key: cut(text, LONGEST_ANNOTATION) for key, text in (draft.annotations or {}).items()},
        "values": dict(draft.values or {}),
        "starts_at": draft.starts_at,
        "ends_at": draft.ends_at,
        "links": _links(draft.links),
    }
    try:
        return Alert.model_validate(fields)
    except ValidationError as error:
        raise as_understood(error, path) from error


def cut(text: str, longest: int) -> str:
    """At most so many characters; what is cut ends in an ellipsis. NUL, which no database takes, is left out."""
    plain = text.replace("\x00", "\ufffd").strip()
    return plain if len(plain) <= longest else f"{plain[: longest - 1]}…"


def _links(links: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
    """Those that lead anywhere: what is no address, or too long to be one, helps nobody."""
    usable = [
        {"title": title[:_LONGEST_LINK_TITLE], "url": url}
        for title, url in links
        if url.startswith(("https://", "http://")) and len(url) <= LONGEST_URL
    ]
    return usable[:MOST_LINKS]


def _first(labels: Mapping[str, str], names: Sequence[str], said: str) -> str | None:
    candidates = [said, *(labels.get(name, "") for name in names)]
    return next((name for each in candidates if each and (name := as_name(each))), None)
