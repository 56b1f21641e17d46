"""The base of request bodies: a field that nobody knows is an error, not a wish that goes unheard."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)
