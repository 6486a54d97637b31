"""What the HTTP server's library has to say, as events of ours: one line each, with the time, like all other lines of the log."""

from __future__ import annotations

import logging
import traceback

from penstock import telemetry

LIBRARY = "uvicorn"
TRACE_LENGTH_MAX = 1500  # its end says most, and an event's value has a bound


class _Events(logging.Handler):
    """Makes an event of every record."""

    def emit(self, record: logging.LogRecord) -> None:
        """Never raises: what is said badly by the library is no reason to fail."""
        level = telemetry.Level.ERROR if record.levelno >= logging.ERROR else telemetry.Level.WARNING
        fields: dict[str, object] = {"words": record.getMessage().strip()}
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            fields["error"] = type(error).__name__
            fields["trace"] = "".join(traceback.format_exception(error))[-TRACE_LENGTH_MAX:]
        telemetry.event("http.server_said", level=level, **fields)


def take_over_server_log() -> None:
    """From now on the library's warnings and errors are events."""
    logger = logging.getLogger(LIBRARY)
    logger.handlers[:] = [_Events()]
    logger.setLevel(logging.WARNING)
    logger.propagate = False
