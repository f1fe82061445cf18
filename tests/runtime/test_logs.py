import io
import json
import logging
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pydantic import SecretStr
from temporalio.worker import Worker

from models.quantities import HostPort
from runtime.client import connect
from runtime.logs import configure_logging
from runtime.settings import Settings
from tests.workers.sample_work import Errand, SampleErrand, errand


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _json_lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def _fail_with(token: str) -> None:
    raise LookupError("no key")


def test_facts_are_fields_of_a_json_line() -> None:
    stream = io.StringIO()
    configure_logging(Settings(), stream)
    logging.getLogger("ours").warning("slow %s", "disk", extra={"millis": 12})
    (line,) = _json_lines(stream)
    assert line.pop("timestamp").endswith("Z")
    assert line == {"message": "slow disk", "level": "warning", "logger": "ours", "millis": 12}


def test_a_terminal_is_given_text_and_anything_else_json() -> None:
    terminal, pipe = Terminal(), io.StringIO()
    for stream in (terminal, pipe):
        configure_logging(Settings(), stream)
        logging.getLogger("ours").warning("hello")
    assert "hello" in terminal.getvalue()
    assert not terminal.getvalue().startswith("{")
    assert _json_lines(pipe)[0]["message"] == "hello"


@pytest.mark.parametrize(("wanted", "stream"), [("json", Terminal()), ("text", io.StringIO())])
def test_the_format_can_be_demanded(wanted: str, stream: io.StringIO) -> None:
    configure_logging(Settings.model_validate({"log_format": wanted}), stream)
    logging.getLogger("ours").warning("hello")
    assert stream.getvalue().startswith("{") == (wanted == "json")


@pytest.mark.parametrize("wanted", ["json", "text"])
def test_neither_secrets_nor_local_variables_are_rendered(wanted: str) -> None:
    stream = io.StringIO()
    configure_logging(Settings.model_validate({"log_format": wanted}), stream)
    token = str(uuid4())
    try:
        _fail_with(token)
    except LookupError:
        logging.getLogger("ours").exception("failed with %s", SecretStr(token), extra={"token": SecretStr(token)})
    assert "no key" in stream.getvalue()
    assert token not in stream.getvalue()


def test_an_exception_is_one_structured_field_of_a_json_line() -> None:
    stream = io.StringIO()
    configure_logging(Settings(), stream)
    try:
        _fail_with("anything")
    except LookupError:
        logging.getLogger("ours").exception("failed")
    (line,) = _json_lines(stream)
    (raised,) = line["exception"]
    assert (raised["exc_type"], raised["exc_value"]) == ("LookupError", "no key")
    assert raised["frames"][-1]["name"] == "_fail_with"


def test_lines_below_the_level_are_left_out() -> None:
    stream = io.StringIO()
    configure_logging(Settings(log_level="warning"), stream)
    logging.getLogger("ours").info("chatter")
    logging.getLogger("httpx").info("GET /")
    assert stream.getvalue() == ""


async def test_lines_of_workflows_and_activities_say_which_run_they_belong_to(
    temporal: HostPort, tmp_path: Path
) -> None:
    stream, queue = io.StringIO(), str(uuid4())
    configure_logging(Settings(), stream)
    client = await connect(Settings(temporal_address=temporal))
    (tmp_path / "go").touch()
    async with Worker(client, task_queue=queue, workflows=[SampleErrand], activities=[errand]):
        handle = await client.start_workflow(
            "SampleErrand", Errand(folder=str(tmp_path)), id=f"errand/{queue}", task_queue=queue
        )
        await handle.result()
    run = {
        "workflow_id": f"errand/{queue}",
        "run_id": handle.result_run_id,
        "workflow_type": "SampleErrand",
        "task_queue": queue,
        "attempt": 1,
    }
    lines = {line["message"]: line for line in _json_lines(stream)}
    assert run.items() <= lines["sending someone out"].items()
    assert (run | {"activity_type": "sample.errand"}).items() <= lines["out on an errand"].items()
    assert not any(key.startswith("temporal_") for line in lines.values() for key in line)
