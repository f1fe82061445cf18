"""Where a key stands in the catalog's JSON Schema, and what that says may stand there."""

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from models.alert_expression import AN_EXPRESSION, EXPRESSION_RULE
from models.alert_rules_spec import ALERT_NAME_RULE, LABEL_NAME_RULE
from models.calendar_words import A_MOMENT, A_WEEKLY_SPAN, A_ZONE, MOMENT_RULE, WEEKLY_RULE, ZONE_RULE
from models.ids import NAME_RULE
from models.matching import A_CONDITION, A_MATCHER, CONDITION_RULE, MATCHER_RULE
from models.mistakes import Path
from models.prometheus_files import A_PROMETHEUS_DURATION, PROMETHEUS_DURATION_RULE
from models.quantities import A_DURATION, A_PERCENTAGE, AN_ADDRESS, DURATION_RULE, HOST_PORT_RULE, PERCENT_RULE

_KEY_ITSELF = "[key]"
_PATTERNS = {
    NAME_RULE: "lower-case letters, digits and hyphens, beginning with a letter",
    "^/": "text that begins with /",
    DURATION_RULE: A_DURATION,
    PERCENT_RULE: A_PERCENTAGE,
    HOST_PORT_RULE: AN_ADDRESS,
    MOMENT_RULE: A_MOMENT,
    WEEKLY_RULE: A_WEEKLY_SPAN,
    ZONE_RULE: A_ZONE,
    MATCHER_RULE: A_MATCHER,
    CONDITION_RULE: A_CONDITION,
    EXPRESSION_RULE: AN_EXPRESSION,
    ALERT_NAME_RULE: "text of up to 100 characters, without spaces around it",
    LABEL_NAME_RULE: "letters, digits and underscores, not beginning with a digit",
    PROMETHEUS_DURATION_RULE: A_PROMETHEUS_DURATION,
}

Schema = Mapping[str, JsonValue]


@dataclass(frozen=True)
class Shape:
    """A part of the schema. Of a part that the schema does not know, nothing is known to be allowed."""

    schema: Schema
    definitions: Schema

    @classmethod
    def of(cls, schema: Schema) -> "Shape":
        return cls(schema, _mapping(schema.get("$defs")))

    def follow(self, loc: Path) -> tuple[Path, "Shape"]:
        """Where pydantic's location leads, without what pydantic puts between the keys: the tags of unions."""
        shape, path = self, Path()
        for part in loc:
            if part == _KEY_ITSELF:
                # A mapping's key is wrong: `path` ends with it already, and `shape` is its value's.
                parent = self.follow(loc[: len(loc) - 2])[1]
                return path, Shape({"type": "string", "pattern": parent.key_pattern}, self.definitions)
            if shape.tag_key:
                shape = shape.member(str(part))
            else:
                shape, path = shape.child(part), (*path, part)
        return path, shape

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(_mapping(self.schema.get("properties")))

    @property
    def tag_key(self) -> str:
        """The key by which one member of a union is chosen; empty where there is no union."""
        return str(_mapping(self.schema.get("discriminator")).get("propertyName", ""))

    def tags(self) -> str:
        return _either(tuple(_mapping(_mapping(self.schema.get("discriminator")).get("mapping"))))

    def closest(self, key: str) -> str | None:
        """The known key that a misspelt one probably means."""
        return next(iter(difflib.get_close_matches(key, self.keys, n=1)), None)

    def allowed(self) -> str:
        """What may stand here, in a few words; empty where nothing is known."""
        schema = self.schema
        if "const" in schema:
            return _bare(schema["const"])
        if isinstance(options := schema.get("enum"), list):
            return _either(tuple(_bare(option) for option in options))
        if isinstance(pattern := schema.get("pattern"), str):
            return _PATTERNS.get(pattern, f"text that matches {pattern}")
        if self.tag_key:
            return f"a block with the key {self.tag_key}: {self.tags()}"
        return self._allowed_by_type()

    def _allowed_by_type(self) -> str:
        block = f"a block with the keys {', '.join(self.keys)}" if self.keys else "a block of names"
        block += " with at least one in it" if self.schema.get("minProperties") else ""
        words = {
            "string": "text; put what YAML takes for something else in quotes",
            "integer": f"a whole number{self._bounds()}",
            "number": f"a number{self._bounds()}",
            "boolean": "true or false",
            "array": "a list with at least one item" if self.schema.get("minItems") else "a list",
            "object": block,
        }
        return words.get(str(self.schema.get("type")), "")

    def _bounds(self) -> str:
        lowest, highest = self.schema.get("minimum"), self.schema.get("maximum")
        if lowest is not None and highest is not None:
            return f" from {lowest} to {highest}"
        if lowest is not None:
            return f", {lowest} or more"
        return f", {highest} or less" if highest is not None else ""

    @property
    def key_pattern(self) -> str:
        """What the keys of a block of names must match."""
        return next(iter(_mapping(self.schema.get("patternProperties"))), "")

    def child(self, part: str | int) -> "Shape":
        """What stands under a key, or what the items of a list are."""
        properties = _mapping(self.schema.get("properties"))
        if isinstance(part, int):
            return self._at(self.schema.get("items"))
        if part in properties:
            return self._at(properties[part])
        patterns = _mapping(self.schema.get("patternProperties"))
        return self._at(next(iter(patterns.values()), self.schema.get("additionalProperties")))

    def member(self, tag: str) -> "Shape":
        """The member of a union that a tag chooses."""
        mapping = _mapping(_mapping(self.schema.get("discriminator")).get("mapping"))
        return self._at({"$ref": mapping.get(tag, "")})

    def _at(self, schema: JsonValue) -> "Shape":
        found = _mapping(schema)
        if isinstance(reference := found.get("$ref"), str):
            found = {**_mapping(self.definitions.get(reference.rpartition("/")[2])), **found}
        if isinstance(options := found.get("anyOf"), list):
            # One kind of value, or nothing: what may stand there is that one kind.
            kinds = [kind for kind in map(_mapping, options) if kind.get("type") != "null"]
            found = {**self._at(dict(kinds[0])).schema, **found} if len(kinds) == 1 else found
        return Shape(found, self.definitions)


def _mapping(value: JsonValue) -> Schema:
    return value if isinstance(value, dict) else {}


def _bare(value: JsonValue) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _either(options: tuple[str, ...]) -> str:
    *others, last = options or ("",)
    return f"{', '.join(others)} or {last}" if others else last
