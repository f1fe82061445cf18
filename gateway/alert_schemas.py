"""What the OpenAPI says of bodies and answers. Bodies are read by `analysis/`, which says more of what is wrong."""

from typing import Any

from models.alert import MOST_ALERTS
from models.front_door import AlertsAnswer, Refusal

_TEXT = {"type": "string"}
_TEXTS = {"type": "object", "additionalProperties": _TEXT}
_LABELLED = {
    "type": "object",
    "required": ["status", "labels"],
    "properties": {
        "status": {"enum": ["firing", "resolved"]},
        "labels": _TEXTS,
        "annotations": _TEXTS,
        "startsAt": _TEXT,
        "endsAt": _TEXT,
        "generatorURL": _TEXT,
        "fingerprint": _TEXT,
    },
}
_LABELLED_GROUP = {"type": "array", "maxItems": MOST_ALERTS, "items": _LABELLED}
_OWN = {
    "type": "object",
    "required": ["title"],
    "additionalProperties": False,
    "properties": {
        "id": {**_TEXT, "description": "the same when it fires and when it clears; else service and title are"},
        "status": {"enum": ["fired", "cleared"], "default": "fired"},
        "title": {**_TEXT, "minLength": 1},
        "description": _TEXT,
        "service": _TEXT,
        "environment": _TEXT,
        "severity": {**_TEXT, "description": "SEV1 to SEV4, or a word like critical"},
        "labels": _TEXTS,
        "annotations": _TEXTS,
        "values": {"type": "object", "additionalProperties": {"type": "number"}},
        "starts_at": {**_TEXT, "format": "date-time"},
        "ends_at": {**_TEXT, "format": "date-time"},
        "url": {**_TEXT, "format": "uri"},
    },
}
_OBJECT = {"type": "object"}

_BODIES: dict[str, dict[str, Any]] = {
    "alertmanager": {
        "type": "object",
        "required": ["version", "alerts"],
        "properties": {"version": {"const": "4"}, "alerts": _LABELLED_GROUP},
    },
    "grafana": {"type": "object", "required": ["alerts"], "properties": {"alerts": _LABELLED_GROUP}},
    "sentry": _OBJECT,
    "pagerduty": {
        "type": "object",
        "required": ["event"],
        "properties": {
            "event": {
                "type": "object",
                "required": ["event_type", "data"],
                "properties": {"id": _TEXT, "event_type": _TEXT, "data": _OBJECT},
            }
        },
    },
    "opsgenie": {
        "type": "object",
        "required": ["action", "alert"],
        "properties": {"action": _TEXT, "alert": _OBJECT},
    },
    "generic": {},
    "alerts": {
        "anyOf": [
            _OWN,
            {
                "type": "object",
                "required": ["alerts"],
                "properties": {"alerts": {"type": "array", "maxItems": MOST_ALERTS, "items": _OWN}},
            },
        ]
    },
}

_WAIT = {"Retry-After": {"schema": {"type": "string"}, "description": "seconds until it is worth trying again"}}

RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "Temporal has taken all of it."},
    400: {"model": Refusal, "description": "The body is not JSON."},
    401: {"model": Refusal, "description": "No key or signature that is known here, or one that is too old."},
    403: {"model": Refusal, "description": "The key may not do this."},
    408: {"model": Refusal, "description": "The body did not arrive in time."},
    413: {"model": Refusal, "description": "The body is too large."},
    415: {"model": Refusal, "description": "The body is not called JSON."},
    422: {"model": AlertsAnswer, "description": "Some of it was not understood; the rest is taken."},
    429: {"model": Refusal, "description": "Too many requests.", "headers": _WAIT},
    503: {
        "model": AlertsAnswer | Refusal,
        "description": "Some of it is not taken. Send it again: what is taken is not counted twice.",
        "headers": _WAIT,
    },
}


def body_schema(door: str) -> dict[str, Any]:
    """The media type object of a door's request body."""
    return {"schema": _BODIES[door]}
