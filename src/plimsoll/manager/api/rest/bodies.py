"""What requests may carry: a field or parameter that nobody knows is an error, not a wish that goes unheard."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any

from annotated_types import Interval
from fastapi import Depends, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from plimsoll.manager.ports import BadInput


def _as_text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


#: What every program reads as it was written (RFC 8259 §6), and every database holds.
MOST = (1 << 53) - 1
Number = Annotated[int, Interval(ge=-MOST, le=MOST)]

#: A computer, by its ID or its hostGUID.
ComputerRef = Annotated[
    str,
    BeforeValidator(_as_text),
    Field(min_length=1, max_length=64),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": MOST},
                {"type": "string", "minLength": 1, "maxLength": 64},
            ],
            "description": "a computer's ID or its hostGUID",
        }
    ),
]


_HALVES = re.compile("[\ud800-\udfff]")


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    @model_validator(mode="before")
    @classmethod
    def _can_be_kept(cls, data: Any) -> Any:
        """Python reads more than JSON is: numbers without end, halves of pairs. No database takes these, nor a NUL."""
        waiting = [data]
        while waiting:
            one = waiting.pop()
            if isinstance(one, str):
                if "\0" in one or _HALVES.search(one):
                    raise ValueError("a character that cannot be stored")
            elif isinstance(one, float):
                if not math.isfinite(one):
                    raise ValueError("a number without end")
            elif isinstance(one, dict):
                waiting += [*one.keys(), *one.values()]
            elif isinstance(one, list):
                waiting += one
        return data


#: Beside `force`: where anybody would be cut off who is not among them, it is refused with the names.
Seen = Annotated[
    list[Annotated[str, Field(max_length=200)]] | None,
    Field(
        description="ids of a preflight's blockers and affected programs whose names were seen; nobody else is cut off"
    ),
]


def known_query(*names: str) -> Any:
    """For a route: its query has these parameters, each once at most, and no other."""

    def check(request: Request) -> None:
        given = [name for name, _ in request.query_params.multi_items()]
        for name in given:
            if name not in names:
                raise BadInput(f"unknown parameter {name!r}; valid are {', '.join(names)}")
            if given.count(name) > 1:
                raise BadInput(f"{name} stands there more than once; nothing was answered")

    return Depends(check)
