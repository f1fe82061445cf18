"""What scripts read: JSON on stdout, and nothing else there."""

import json
from collections.abc import Mapping

import typer
from pydantic import BaseModel


def print_json(value: BaseModel | Mapping[str, object]) -> None:
    text = value.model_dump_json(indent=2) if isinstance(value, BaseModel) else json.dumps(value, indent=2, default=str)
    typer.echo(text)
