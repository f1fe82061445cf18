"""YAML as data of which every value knows where it stands, and every mistake of writing is known at once."""

import math
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import JsonValue
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from models.mistakes import Path as KeyPath

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 40
MAX_VALUES = 50_000
_MAX_WHOLE_NUMBER = 2**63
_STANDARD = "tag:yaml.org,2002:"
_SURROGATE = "holds half of a surrogate pair, which is no character"
_MERGE = _STANDARD + "merge"


@dataclass(frozen=True)
class Position:
    """Line and column, both counted from 1."""

    line: int
    column: int


class YamlProblem(Exception):  # noqa: N818 - a problem of the text, handed to whoever reads it
    """One thing wrong with the writing itself, at a position where one is known."""

    def __init__(self, message: str, position: Position | None = None, path: KeyPath = ()) -> None:
        super().__init__(message)
        self.message = message
        self.position = position
        self.path = path


@dataclass
class YamlDocument:
    """`data` is what JSON could hold. `positions` has the key of each mapping entry and each item of a list, `written`
    the text of each number and word: `0x20` is 32 to YAML.
    """

    data: JsonValue = None
    positions: dict[KeyPath, Position] = field(default_factory=dict)
    problems: list[YamlProblem] = field(default_factory=list)
    written: dict[KeyPath, str] = field(default_factory=dict)

    def position(self, path: KeyPath) -> Position:
        """Where `path` stands, or else the innermost block around it that does stand somewhere."""
        while path and path not in self.positions:
            path = path[:-1]
        return self.positions.get(path, Position(1, 1))


def read_yaml(path: Path) -> YamlDocument:
    """Read a file. What can be read in spite of mistakes is, so that all are found; raises YamlProblem if nothing can.

    An OSError is passed on.
    """
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise YamlProblem(f"is larger than {MAX_BYTES // 1024} KiB; this cannot be meant to be a catalog")
    return parse_yaml(_decoded(content))


def parse_yaml(text: str) -> YamlDocument:
    """Read a text, as `read_yaml` does."""
    root = _compose(text)
    if root is None:
        return YamlDocument()
    reading = _Reading()
    reading.document.data = reading.value(root, ())
    return reading.document


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = error.object[: error.start]
        position = Position(before.count(b"\n") + 1, error.start - (before.rfind(b"\n") + 1) + 1)
        raise YamlProblem("is not UTF-8 text; save it in the encoding UTF-8", position) from error


def _compose(text: str) -> Node | None:
    yaml = YAML(typ="rt")
    yaml.composer.warn_double_anchors = False  # an anchor may be set anew, and a warning would go past our caller
    try:
        root: Node | None = yaml.compose(text)
    except ReaderError as error:
        before = text[: error.position]
        position = Position(before.count("\n") + 1, error.position - before.rfind("\n"))
        raise YamlProblem(
            f"holds the character U+{ord(text[error.position]):04X}, which YAML forbids", position
        ) from error
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = Position(mark.line + 1, mark.column + 1) if mark else None
        raise YamlProblem(_explained(error), at) from error
    except RecursionError as error:
        raise YamlProblem(f"is nested more than {MAX_DEPTH} levels deep") from error
    except (YAMLError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError, AssertionError) as error:
        # On some malformed escapes, tags and directives the parser stumbles instead of reporting.
        raise YamlProblem(f"is not YAML: {error}") from error
    return root


def _explained(error: MarkedYAMLError) -> str:
    problem = str(error.problem or error.context or "it cannot be read").strip()
    if "'\\t'" in problem:
        return "a tab stands where YAML wants spaces; indent with spaces"
    if "another document" in problem:
        return "a second document begins here (---); the catalog is one document"
    if "mapping values are not allowed" in problem:
        return "a colon stands where none may be; check the indentation, and put text that contains ': ' in quotes"
    return f"is not YAML: {problem}"


class _Reading:
    """Walks the tree of nodes once, gathering data, positions and problems."""

    def __init__(self) -> None:
        self.document = YamlDocument()
        self._values = 0
        self._scalars = YAML(typ="safe", pure=True).constructor

    def value(self, node: Node, path: KeyPath) -> JsonValue:
        # Aliases make a small text a huge or an endless tree.
        self._values += 1
        if self._values > MAX_VALUES:
            raise YamlProblem(f"holds more than {MAX_VALUES} values, counting each use of an alias", _start(node), path)
        if len(path) > MAX_DEPTH:
            raise YamlProblem(f"is nested more than {MAX_DEPTH} levels deep", _start(node), path)
        self.document.positions.setdefault(path, _start(node))
        if isinstance(node, ScalarNode):
            return self._scalar(node, path)
        if not self._is_plain(node):
            self._report(f"the tag {node.tag} has no meaning here; leave it out", _start(node), path)
        if isinstance(node, MappingNode):
            return self._mapping(node, path)
        if isinstance(node, SequenceNode):
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        raise YamlProblem("is a kind of value that a catalog cannot hold", _start(node), path)

    def _mapping(self, node: MappingNode, path: KeyPath) -> dict[str, JsonValue]:
        found: dict[str, JsonValue] = {}
        first: dict[str, Position] = {}
        merged: list[Node] = []
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                merged += self._merge_sources(value_node, path)
                continue
            key = self._key(key_node, path)
            if key is None:
                continue
            if key in first:
                self._report(f"stands twice, first on line {first[key].line}; keep one", _start(key_node), (*path, key))
                continue
            first[key] = self.document.positions[(*path, key)] = _start(key_node)
            found[key] = self.value(value_node, (*path, key))
        for source in merged:
            # A key that is written out wins over one that is merged in, and an earlier source over a later one.
            base = self.value(source, path)
            found |= {key: value for key, value in base.items() if key not in found} if isinstance(base, dict) else {}
        return found

    def _merge_sources(self, node: Node, path: KeyPath) -> list[Node]:
        sources: list[Node] = node.value if isinstance(node, SequenceNode) else [node]
        if not all(isinstance(source, MappingNode) for source in sources):
            self._report("<< merges in blocks of keys, such as *alias; this is none", _start(node), path)
            return []
        return sources

    def _key(self, node: Node, path: KeyPath) -> str | None:
        if not isinstance(node, ScalarNode):
            self._report("a key must be text, not a list or a block", _start(node), path)
            return None
        if _holds_surrogates(node.value):
            self._report(_SURROGATE, _start(node), path)
            return None
        return str(node.value)

    def _scalar(self, node: ScalarNode, path: KeyPath) -> JsonValue:
        text: str = node.value
        if _holds_surrogates(text):
            self._report(_SURROGATE, _start(node), path)
            return None
        kind = str(node.tag).removeprefix(_STANDARD)
        if kind in {"str", "timestamp"}:
            # A date is text to the catalog, whose models read it; JSON has no dates.
            return text
        if kind in {"int", "float", "bool", "null"}:
            self.document.written[path] = text
            return self._number_or_word(node, path)
        self._report(f"the tag {node.tag} has no meaning here; leave it out", _start(node), path)
        return text

    def _number_or_word(self, node: ScalarNode, path: KeyPath) -> JsonValue:
        try:
            value: int | float | bool | None = self._scalars.construct_object(node)
        except (YAMLError, ValueError, ArithmeticError, LookupError):
            value = math.inf
        if isinstance(value, float) and not math.isfinite(value):
            self._report("is no value that can be used; put it in quotes if it is text", _start(node), path)
            return None
        if isinstance(value, int) and abs(value) >= _MAX_WHOLE_NUMBER:
            self._report("the number is too large", _start(node), path)
            return None
        return value

    def _is_plain(self, node: Node) -> bool:
        return str(node.tag) in {_STANDARD + "map", _STANDARD + "seq"}

    def _report(self, message: str, position: Position, path: KeyPath) -> None:
        self.document.problems.append(YamlProblem(message, position, path))


def _start(node: Node) -> Position:
    return Position(node.start_mark.line + 1, node.start_mark.column + 1)


def _holds_surrogates(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)
