"""What workflow code, and what it calls, must not touch, read from the code: a replay would find another answer."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import activities
import analysis
import models
import workflows

PACKAGES = [Path(package.__path__[0]) for package in (analysis, models, workflows)]
FILES = [*(file for folder in PACKAGES for file in sorted(folder.glob("**/*.py")))]
FILES.append(Path(activities.__path__[0]) / "search_attributes.py")
IMPURE = {
    "asyncio.as_completed", "asyncio.to_thread", "asyncio.wait", "concurrent", "glob", "http", "io", "locale",
    "multiprocessing", "os", "pathlib", "platform", "random", "secrets", "select", "selectors", "shutil", "signal",
    "socket", "subprocess", "sys", "tempfile", "threading", "time", "urllib.request", "uuid",
}  # fmt: skip
"""Modules, and names in modules."""

CLOCKS = {"now", "today", "utcnow"}
DATES = ("datetime", "date")
TEMPORAL = "workflow"
BUILTINS = {"input", "open", "hash", "id"}
"""`hash` of a text differs from process to process, and an `id` from object to object."""


def impurities(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                found = [name.name for name in names]
            case ast.ImportFrom(module=str(module), names=names):
                found = [module, *(f"{module}.{name.name}" for name in names)]
            case ast.Call(func=ast.Attribute(value=owner, attr=name)) if (
                name in CLOCKS and ast.unparse(owner) != TEMPORAL
            ):
                yield f"line {node.lineno}: {ast.unparse(owner)}.{name}()"
                continue
            case ast.Attribute(value=owner, attr=name) if name in CLOCKS and ast.unparse(owner).endswith(DATES):
                yield f"line {node.lineno}: {ast.unparse(owner)}.{name}"
                continue
            case ast.Attribute(value=ast.Name(id=owner), attr=name) if f"{owner}.{name}" in IMPURE:
                found = [f"{owner}.{name}"]
            case ast.Call(func=ast.Name(id=name)) if name in BUILTINS:
                yield f"line {node.lineno}: {name}()"
                continue
            case _:
                continue
        for each in found:
            if each in IMPURE or each.partition(".")[0] in IMPURE:
                yield f"line {node.lineno}: {each}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")
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
        "import datetime\nat = datetime.datetime.now()",
        "from datetime import datetime as dt\nat = dt.now()",
        "from datetime import datetime\nclock = datetime.now",
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
