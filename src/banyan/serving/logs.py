"""The service's log: one JSON object a line, without anything that tells who a user is. Knows no routes.

A line holds the route's pattern, never its path; what kind of error it was and where, never its words, which may quote a request.
"""

import json
import logging
import sys
import time
import traceback
from typing import Any

LOGGER = "banyan.serving"
FIELDS = ("request_id", "route", "method", "status", "ms", "key", "model", "worker", "error", "where", "reason")


class Lines(logging.Formatter):
    """A record as one line of JSON: the fields above, and no others."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        said: dict[str, Any] = {"at": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z"}
        said |= {"level": record.levelname.lower(), "event": record.getMessage() if record.name.startswith("banyan") else f"{record.name}"}
        said |= {field: getattr(record, field) for field in FIELDS if getattr(record, field, None) is not None}
        if not record.name.startswith("banyan"):
            said["reason"] = record.getMessage()[:500]
        if record.exc_info and record.exc_info[1] is not None:
            said |= where(record.exc_info[1])
        return json.dumps(said, ensure_ascii=False)


def where(error: BaseException) -> dict[str, Any]:
    """The kinds of an error and of what caused it, and the places that it went through; not its words."""
    kinds: list[str] = []
    chain: BaseException | None = error
    while chain is not None and len(kinds) < 5:
        kinds.append(type(chain).__name__)
        chain = chain.__cause__ or chain.__context__
    places = [f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)[-12:]]
    return {"error": " from ".join(kinds), "where": places}


def start(stream: Any = None, level: int = logging.INFO) -> logging.Logger:
    """Send the service's lines, and the server's own, to a text stream (stderr unless given)."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(Lines())
    for name in (LOGGER, "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level if name == LOGGER else max(level, logging.WARNING))
    logging.getLogger("uvicorn.access").handlers = []
    logging.getLogger("uvicorn.access").propagate = False
    return logging.getLogger(LOGGER)
