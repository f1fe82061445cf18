"""The two kinds of model: what people write, and what travels between processes."""

from pydantic import BaseModel, ConfigDict


class Payload(BaseModel):
    """Something that crosses a process border: an unknown field is a newer peer's, and is ignored."""

    model_config = ConfigDict(frozen=True)


class Written(BaseModel):
    """Something a person writes, such as a part of the catalog.

    It travels too, inside payloads, so it is not strict by itself: the loader, which meets what people wrote,
    validates with `extra="forbid"`, and the JSON Schema says so to their editors.
    """

    model_config = ConfigDict(frozen=True, json_schema_extra={"additionalProperties": False})
