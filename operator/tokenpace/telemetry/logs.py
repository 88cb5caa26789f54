"""Logs: one JSON object a line, from our own code and from the libraries alike."""

import logging
import sys
from typing import TextIO

import structlog


def configure(level: str, stream: TextIO = sys.stderr) -> None:
    """Send every log record, ours and the libraries', as one JSON object a line to ``stream``.

    Args:
        level: a level name of `logging`; an unknown one is an error that lists the legal ones.
        stream: where the lines go.
    """
    levels = logging.getLevelNamesMapping()
    if level not in levels:
        raise ValueError(f"log level must be one of {', '.join(levels)}, not {level!r}")
    shared: list[structlog.types.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
    ]
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(sort_keys=True),
            ],
        )
    )
    logging.root.handlers = [handler]
    logging.root.setLevel(levels[level])
    # At INFO kopf tells of every event that it handles, and its web server of every probe: both drown the decisions.
    for chatty in ("kopf", "aiohttp.access"):
        logging.getLogger(chatty).setLevel(max(levels[level], logging.WARNING))
    structlog.configure(
        # First of all the level: a tick over 2,000 resources says as many things that nobody wants to hear.
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
