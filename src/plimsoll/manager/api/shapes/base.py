"""What all shapes are made of: their base, closed sets of words, and units.

A shape is a typed dictionary: mypy holds the functions that fill it to it, pydantic checks each answer against it on
its way out, and the description (OpenAPI) says it. So an answer is declared once.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, GetCoreSchemaHandler, with_config
from pydantic_core import CoreSchema, core_schema

# pydantic reads those of `typing` only from Python 3.12 on.
from typing_extensions import TypedDict

from plimsoll.messages import Direction, Kind
from plimsoll.net.sightings import Outcome
from plimsoll.tls.cipher_profiles import CipherProfile
from plimsoll.tls.floors import Point
from plimsoll.tls.versions import FLOORS, Version


@with_config(extra="forbid")
class Shape(TypedDict):
    """An object of an answer: all of its fields are there, and no other."""


@with_config(extra="allow")
class Stored(TypedDict, total=False):
    """An object that is kept as JSON: what another release wrote into it, or left out, is no error."""


class OneOf:
    """Marks a text that is one of these words, and no other: ``Annotated[str, OneOf("open", "closed")]``."""

    def __init__(self, *words: str) -> None:
        self.words = words

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.literal_schema(list(self.words))


Seconds = Annotated[float, Field(description="seconds since 1970-01-01 00:00 UTC", examples=[1795766400.0])]
Milliseconds = Annotated[int, Field(description="milliseconds since 1970-01-01 00:00 UTC", examples=[1795766400000])]
Period = Annotated[float, Field(description="seconds")]

FloorName = Annotated[str, OneOf(*(version.value for version in FLOORS))]
ProfileName = Annotated[str, OneOf(*(profile.value for profile in CipherProfile))]
VersionName = Annotated[str, OneOf(*(version.value for version in Version))]
PointName = Annotated[str, OneOf(*(point.value for point in Point))]
KindName = Annotated[str, OneOf(*(kind.value for kind in Kind))]
DirectionName = Annotated[str, OneOf(*(direction.value for direction in Direction))]
OutcomeName = Annotated[str, OneOf(*(outcome.value for outcome in Outcome))]

Guid = Annotated[str, Field(description="a computer's hostGUID", examples=["0b6f2c0e-6a1b-4a57-9d0e-3f1f4f2f6c11"])]
Who = Annotated[str, Field(description="who did it: kind and name or number", examples=["user:anna", "apikey:2"])]
Ja4 = Annotated[str, Field(description="JA4 of the ClientHello", examples=["t13d1516h2_8daaf6152771_b186095e22b6"])]


class Empty(Shape):
    """Nothing but that it was done."""


class Refusal(Shape):
    """Why it was not done, what was kept, and what to do next: words for a person."""

    message: str
