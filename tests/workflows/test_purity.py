"""What workflow code must not touch, read from the code itself: a replay would find another answer."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import workflows

FOLDER = Path(workflows.__file__).parent
IMPURE = {
    "asyncio.to_thread",
    "os",
    "pathlib",
    "random",
    "secrets",
    "socket",
    "subprocess",
    "threading",
    "time",
    "uuid",
}
"""Modules, and names in modules."""

CLOCKS = {"now", "today", "utcnow"}
OF_TEMPORAL = "workflow"
BUILTINS = {"input", "open", "hash", "id"}
"""`hash` of a text differs from process to process, and an `id` from object to object."""


def impurities(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                found = [name.name for name in names]
            case ast.ImportFrom(module=str(module), names=names):
                found = [module, *(f"{module}.{name.name}" for name in names)]
            case ast.Attribute(value=ast.Name(id=owner), attr=name) if name in CLOCKS and owner != OF_TEMPORAL:
                yield f"line {node.lineno}: {owner}.{name}"
                continue
            case ast.Attribute(value=ast.Name(id=owner), attr=name):
                found = [f"{owner}.{name}"] if f"{owner}.{name}" in IMPURE else []
            case ast.Call(func=ast.Name(id=name)) if name in BUILTINS:
                yield f"line {node.lineno}: {name}()"
                continue
            case _:
                continue
        for each in found:
            if each in IMPURE or each.partition(".")[0] in IMPURE:
                yield f"line {node.lineno}: {each}"


@pytest.mark.parametrize("file", sorted(FOLDER.glob("**/*.py")), ids=lambda file: file.stem)
def test_workflow_code_asks_only_temporal_for_what_may_change(file: Path) -> None:
    assert list(impurities(file.read_text())) == []


@pytest.mark.parametrize(
    "source",
    [
        "import time",
        "from time import monotonic",
        "import os.path",
        "from datetime import datetime\nat = datetime.now()",
        "from datetime import date\nat = date.today()",
        "import random",
        "from uuid import uuid4",
        "from pathlib import Path",
        "import asyncio\nasyncio.to_thread(print)",
        "from asyncio import to_thread",
        "open('a file')",
        "hash('a text')",
    ],
)
def test_what_may_change_is_found(source: str) -> None:
    assert list(impurities(source))


def test_what_temporal_answers_is_let_through() -> None:
    assert (
        list(impurities("from temporalio import workflow\nworkflow.now(), workflow.uuid4(), workflow.random()")) == []
    )
