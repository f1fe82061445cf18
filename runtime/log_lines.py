"""How a log line looks: text for a person at a terminal, one JSON object per line for a machine.

Whoever logs uses the standard `logging`, with facts in `extra` rather than in the message. What runs workflows or
activities configures its lines through `runtime/logs.py`; this part knows nothing of Temporal, so that it is small.
"""

import logging
import sys
from collections.abc import Sequence
from typing import TextIO

import structlog
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import Processor

from runtime.settings import Settings

CHATTY = ("httpx", "httpcore", "asyncio", "alembic", "aiosqlite", "sqlalchemy")
"""Libraries that tell of every request at info; their warnings are wanted."""


def write_lines(settings: Settings, stream: TextIO | None = None, *, more_fields: Sequence[Processor] = ()) -> None:
    """Make every log line of this process ours, on `stream` (standard error). Calling again replaces the former."""
    stream = stream or sys.stderr
    terminal = stream.isatty()
    as_text = settings.log_format == "text" or (settings.log_format == "auto" and terminal)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*_fields(), *more_fields],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *(_text(colors=terminal) if as_text else _json()),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    for name in CHATTY:
        logging.getLogger(name).setLevel(max(root.level, logging.WARNING))


def _fields() -> list[Processor]:
    return [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.ExtraAdder(),
    ]


def _json() -> list[Processor]:
    # Local variables stay out of tracebacks: they may hold secrets.
    exceptions = ExceptionDictTransformer(show_locals=False, max_frames=20)
    return [
        structlog.processors.ExceptionRenderer(exceptions),
        structlog.processors.EventRenamer("message"),
        structlog.processors.JSONRenderer(),
    ]


def _text(*, colors: bool) -> list[Processor]:
    return [structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)]
