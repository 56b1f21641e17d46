"""The manager's log on standard error: lines for people, or a JSON object a line for programs.

Where a record is about one computer it says so in a field of its own, and so does a reason that can be counted:
``log.warning("…", extra={"computer": id, "reason": "tls"})``.
"""

from __future__ import annotations

import json
import logging
import os
import time
from typing import Any

from plimsoll.manager.ports import BadInput
from plimsoll.manager.services.hub import Change, EventRecorded

#: Overrides `logFormat=` of configuration.properties, and counts from the first line.
VARIABLE = "PLIMSOLL_LOG_FORMAT"
TEXT, JSON = "text", "json"
FORMATS = (TEXT, JSON)

#: What of a record goes into fields, where it has it.
FIELDS = ("computer", "reason", "event", "target")

_events = logging.getLogger("plimsoll.events")
_LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_TIME = "%Y-%m-%dT%H:%M:%S"


class JsonLines(logging.Formatter):
    """`time` (UTC), `level`, `logger`, `message`, and of `FIELDS` what there is; `trace` where an error has one."""

    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime(_TIME, time.gmtime(record.created))
        data: dict[str, Any] = {
            "time": f"{moment}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        data |= {name: value for name in FIELDS if (value := getattr(record, name, None)) not in (None, "")}
        if record.exc_info:
            data["trace"] = self.formatException(record.exc_info)
        return json.dumps(data, ensure_ascii=False, default=str)


def begin() -> None:
    """Log to standard error, unless the process has its own idea of logging. Raises BadInput for another format."""
    root = logging.getLogger()
    if root.handlers:
        return
    root.addHandler(logging.StreamHandler())
    root.setLevel(logging.INFO)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    use(TEXT)


def use(wanted: str) -> str:
    """Write in the wanted format from now on, or in the one that the environment names. The one that is used."""
    chosen = os.environ.get(VARIABLE) or wanted
    if chosen not in FORMATS:
        raise BadInput(f"{VARIABLE} is {chosen!r}; valid are {' and '.join(FORMATS)}. Nothing was started")
    formatter: logging.Formatter = JsonLines()
    if chosen == TEXT:
        formatter = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s", f"{_TIME}Z")
        formatter.converter = time.gmtime
    for handler in logging.getLogger().handlers:
        if type(handler) is logging.StreamHandler:
            handler.setFormatter(formatter)
    return chosen


def heard(change: Change) -> None:
    """For the hub: system events go along with the log, where programs read it."""
    if isinstance(change, EventRecorded):
        one = change.event
        fields = {
            "computer": one.computer,
            "reason": one.extra.get("reason"),
            "event": one.number,
            "target": one.target,
        }
        _events.log(_LEVELS.get(one.level, logging.INFO), "%s", one.description, extra=fields)
