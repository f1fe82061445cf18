"""Queries and addresses with `{{service}}`, `{{version}}` and `{{env}}` in them, filled in when metrics are read.

What is wrong with one is said with MistakeError. In queries a placeholder stands within quotes, as a value: what is
filled in never becomes a part of the query's own language.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any
from urllib.parse import quote, urlsplit

import jmespath
from jmespath.exceptions import JMESPathError
from jmespath.functions import Functions
from pydantic import AfterValidator

from models.ids import ServiceRef, Version
from models.mistakes import MistakeError

MOST_CHARACTERS = 2000
ALLOWED = "{{service}}, {{version}} and {{env}}"

_EXAMPLE = {"service": "shop", "version": "v1", "env": "local"}
_PLACEHOLDER = re.compile(r"\{\{([^{}]*)\}\}")
_PROMQL_STRING = re.compile(
    r"""(?P<regex>[=!]~\s*)?(?P<text>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`[^`]*`)|\#[^\n]*""", re.VERBOSE
)
_JMESPATH_STRING = re.compile(r"""(?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`(?:\\.|[^`\\])*`)""", re.DOTALL)
_QUOTE = re.compile(r"[\"'`]")
_OF_REGEX = re.compile(r"[\\.+*?()|\[\]{}^$]")
_BRACKETS = {")": "(", "]": "[", "}": "{"}
_PASSWORD = re.compile(r"[^/?#]*//[^/?#]*@")


def fill_promql(template: str, ref: ServiceRef, version: Version) -> str:
    """Fill in label values; within `=~` and `!~` they match themselves only."""
    return _fill_promql(template, _values(ref, version))


def fill_jmespath(template: str, ref: ServiceRef, version: Version) -> str:
    return _fill_jmespath(template, _values(ref, version))


def fill_url(template: str, ref: ServiceRef, version: Version) -> str:
    return _filled(template, lambda name: quote(_values(ref, version)[name], safe=""))


def check_promql(template: str) -> str:
    """What can be told without Prometheus: placeholders, quotes and brackets."""
    _check_placeholders(template)
    _check_outside_of_quotes(template, _PROMQL_STRING, 'service="{{service}}"')
    return check_promql_brackets(template)


def check_promql_brackets(template: str) -> str:
    """What can be told of an expression that holds no placeholders."""
    if open_quote := _QUOTE.search(_PROMQL_STRING.sub("", template)):
        raise MistakeError(f"nothing closes the quote {open_quote[0]}")
    expected: list[str] = []
    for character in _PROMQL_STRING.sub("", template):
        if character in _BRACKETS.values():
            expected.append(character)
        elif character in _BRACKETS and (not expected or expected.pop() != _BRACKETS[character]):
            raise MistakeError(f"is not PromQL: nothing opens the {character}")
    if expected:
        raise MistakeError(f"is not PromQL: nothing closes the {expected[-1]}")
    return template


def check_jmespath(template: str) -> str:
    _check_placeholders(template)
    _check_outside_of_quotes(template, _JMESPATH_STRING, 'versions."{{version}}".requests')
    try:
        unknown = _unknown_function(jmespath.compile(_fill_jmespath(template, _EXAMPLE)).parsed)
    except RecursionError as error:
        raise MistakeError("is nested too deeply") from error
    except JMESPathError as error:
        reason = " ".join(str(error).split()).partition(", for expression")[0]
        raise MistakeError(f"is not JMESPath: {reason}") from error
    if unknown:
        raise MistakeError(f"is not JMESPath: there is no function {unknown}")
    return template


def check_url(template: str) -> str:
    _check_placeholders(template)
    if _PASSWORD.match(template):
        raise MistakeError("holds a user's name or password; give a token instead, as a reference to a secret")
    filled = _filled(template, _EXAMPLE.__getitem__)
    allowed = "an address like http://127.0.0.1:9090"
    try:
        parts = urlsplit(filled)
        known = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError as error:
        raise MistakeError(f"is not an address: {error}", allowed=allowed) from error
    if not known or not filled.isascii() or re.search(r"[\s\\\x00-\x1f\x7f]", filled):
        raise MistakeError("is not an address; write it with http:// or https://", allowed=allowed)
    if parts.fragment:
        raise MistakeError("has a part after #, which is never sent; leave it out")
    return template


def check_base_url(url: str) -> str:
    check_url(url)
    if _PLACEHOLDER.search(url):
        raise MistakeError("holds a placeholder; it is one address for all versions")
    if "?" in url:
        raise MistakeError("has a part after ?; write the address only, like http://127.0.0.1:9090")
    return url


PromQL = Annotated[str, AfterValidator(check_promql)]
JMESPath = Annotated[str, AfterValidator(check_jmespath)]
UrlTemplate = Annotated[str, AfterValidator(check_url)]
BaseUrl = Annotated[str, AfterValidator(check_base_url)]


def check_placeholders(template: str) -> str:
    """Of a query whose language is not known yet."""
    _check_placeholders(template)
    return template


def names_version(template: str) -> bool:
    """Whether it means something else for each version."""
    return any(match[1].strip() == "version" for match in _PLACEHOLDER.finditer(template))


def _values(ref: ServiceRef, version: Version) -> Mapping[str, str]:
    return {"service": ref.service, "version": version, "env": ref.environment}


def _filled(text: str, value: Callable[[str], str]) -> str:
    return _PLACEHOLDER.sub(lambda match: value(match[1].strip()), text)


def _fill_promql(template: str, values: Mapping[str, str]) -> str:
    def string(match: re.Match[str]) -> str:
        def value(name: str) -> str:
            text = _OF_REGEX.sub(r"\\\g<0>", values[name]) if match["regex"] else values[name]
            return text if match["text"][0] == "`" else json.dumps(text)[1:-1]

        return _filled(match[0], value) if match["text"] else match[0]

    return _PROMQL_STRING.sub(string, template)


def _fill_jmespath(template: str, values: Mapping[str, str]) -> str:
    return _JMESPATH_STRING.sub(lambda match: _filled(match[0], values.__getitem__), template)


def _check_placeholders(template: str) -> None:
    if not template.strip():
        raise MistakeError("is empty")
    if len(template) > MOST_CHARACTERS:
        raise MistakeError(f"has {len(template)} characters; {MOST_CHARACTERS} are the most")
    for match in _PLACEHOLDER.finditer(template):
        if match[1].strip() not in _EXAMPLE:
            raise MistakeError(f"there is no placeholder {match[0]}", found=match[0], allowed=ALLOWED)
    if "{{" in _PLACEHOLDER.sub("", template):
        raise MistakeError("a placeholder is not closed with }}", found="{{", allowed=ALLOWED)


def _check_outside_of_quotes(template: str, string: re.Pattern[str], example: str) -> None:
    outside = string.sub("", template)
    if open_quote := _QUOTE.search(outside):
        raise MistakeError(f"nothing closes the quote {open_quote[0]}")
    if bare := _PLACEHOLDER.search(outside):
        raise MistakeError(f"{bare[0]} stands outside of quotes; write it like {example}")


def _unknown_function(node: Any) -> str | None:
    """The first function in a parsed expression that JMESPath does not have."""
    if not isinstance(node, dict):
        return None
    if node.get("type") == "function_expression" and node["value"] not in Functions.FUNCTION_TABLE:
        return str(node["value"])
    return next((found for child in node.get("children", ()) if (found := _unknown_function(child))), None)
