"""What the reference's own resources share: names as it writes them, leniency in what comes, strictness in what goes.

Rules of these resources: a field that means nothing here is passed over, not refused; ids come as numbers or texts;
an empty body is an empty object; one object stands for a list of one; unknown parameters of a query are passed over.
Answers are shapes like all others.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Path, Query
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from plimsoll.manager.api.rest.bodies import Body
from plimsoll.manager.ports import BadInput
from plimsoll.manager.search import PAGE, Compare, Criterion, IsNull, Kind, Op, Search, Within

#: The largest number that every client's JSON can carry; no id is larger.
LARGEST = 1 << 53

_CAPITALS = {"id": "ID", "ids": "IDs", "urn": "URN", "guid": "GUID", "ip": "IP", "tls": "TLS", "ja4": "JA4"}


def reference_name(name: str) -> str:
    """``role_id`` as the reference writes it: ``roleID``."""
    first, *rest = name.split("_")
    head = _CAPITALS.get(first, first) if not rest else first
    return head + "".join(_CAPITALS.get(part, part.capitalize()) for part in rest)


class Lenient(Body):
    """What comes in from programs that were written for the reference."""

    model_config = ConfigDict(extra="ignore", alias_generator=reference_name, populate_by_name=True)


def passed_over(shape: type, *more: str) -> Any:
    """For a body that takes back what a GET gave, with whatever the reference has besides: these fields are passed
    over where the body has none of that name. Any other unknown field is refused as everywhere.
    """
    names = frozenset((*shape.__annotations__, *more))

    def drop(cls: type[BaseModel], data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        taken = {name for key, field in cls.model_fields.items() for name in (key, field.alias)}
        return {name: value for name, value in data.items() if name in taken or name not in names}

    return model_validator(mode="before")(classmethod(drop))  # type: ignore[arg-type]  # pydantic takes it so


def _setting_text(value: Any) -> Any:
    found = value.get("value") if isinstance(value, Mapping) else value
    if isinstance(found, bool):
        return "true" if found else "false"
    return str(found) if isinstance(found, int | float) else found


def _storable(text: str) -> str:
    # A database takes neither; and nobody means them.
    if "\0" in text or any("\ud800" <= char <= "\udfff" for char in text):
        raise ValueError("a character that cannot be stored")
    return text


def _as_list(value: Any) -> Any:
    if value is None:
        return []
    return [value] if isinstance(value, Mapping | str) else value


Number = Annotated[int, Field(ge=0, le=LARGEST)]
Text = Annotated[str, Field(max_length=2000), AfterValidator(_storable)]
Name = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_storable)]
#: Of a path: an id.
Item = Annotated[int, Path(ge=0, le=LARGEST)]
#: Comes as a list, as one object, or not at all.
AsList = BeforeValidator(_as_list)


#: A setting's value: an object with the text in it, or the text, number or boolean itself.
SettingText = Annotated[Text, BeforeValidator(_setting_text)]
Settings = Annotated[dict[Annotated[str, Field(max_length=200)], SettingText], Field(max_length=1000)]

#: What an answer is to be made of; several, or one with commas.
Expand = Annotated[
    list[str] | None, Query(description="none, all, computerStatus, tasks, computerSettings, interfaces, a module …")
]
Overrides = Annotated[bool, Query(description="only what is its own, without what it inherits")]


def expanded(given: list[str] | None, default: str) -> frozenset[str]:
    """The words of `expand`."""
    words = default if given is None else ",".join(given)
    return frozenset(word.strip() for word in words.split(",") if word.strip())


def seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


class SearchCriterion(Lenient):
    """A field, and one test of it; a value without a test must be equal."""

    field_name: Text
    string_test: Op | None = None
    string_value: Text | None = None
    string_wildcards: bool | None = None
    numeric_test: Op | None = None
    numeric_value: Annotated[int, Field(ge=-LARGEST, le=LARGEST)] | None = None
    boolean_test: bool | None = None
    choice_test: Op | None = None
    choice_value: Text | None = None
    id_test: Op | None = None
    id_value: Annotated[int, Field(ge=-LARGEST, le=LARGEST)] | None = None
    version_test: Op | None = None
    version_value: Text | None = None
    first_date_value: Annotated[int, Field(ge=-LARGEST, le=LARGEST)] | None = None
    first_date_inclusive: bool | None = None
    last_date_value: Annotated[int, Field(ge=-LARGEST, le=LARGEST)] | None = None
    last_date_inclusive: bool | None = None
    null_test: bool | None = None

    def criteria(self) -> list[Criterion]:
        """As the search understands it. Raises BadInput where there is no test, or a test without its value."""
        found: list[Criterion] = []
        for kind in (Kind.STRING, Kind.NUMERIC, Kind.CHOICE, Kind.ID, Kind.VERSION):
            test: Op | None = getattr(self, f"{kind.value}_test")
            value = getattr(self, f"{kind.value}_value")
            if value is not None:
                wildcards = kind is Kind.STRING and bool(self.string_wildcards)
                found.append(Compare(self.field_name, kind, test or "equal", value, wildcards))
            elif test is not None:
                raise BadInput(f"{self.field_name}: {kind.value}Test needs a {kind.value}Value; nothing was searched")
        if self.boolean_test is not None:
            found.append(Compare(self.field_name, Kind.BOOLEAN, "equal", self.boolean_test))
        if self.first_date_value is not None or self.last_date_value is not None:
            found.append(
                Within(
                    self.field_name,
                    self.first_date_value,
                    self.last_date_value,
                    bool(self.first_date_inclusive),
                    bool(self.last_date_inclusive),
                )
            )
        if self.null_test is not None:
            found.append(IsNull(self.field_name, self.null_test))
        if not found:
            raise BadInput(f"{self.field_name} is named, but not tested; nothing was searched")
        return found


class SearchFilter(Lenient):
    """All criteria must hold. A page has at most 5000 items, in the order of their IDs whatever `sortByObjectID` says.

    The next page: a criterion more, `ID` with `idTest` `greater-than` the last ID, until a page is empty.
    """

    max_items: Annotated[int, Field(ge=1, le=LARGEST)] | None = None
    search_criteria: Annotated[list[SearchCriterion], AsList] = Field(default_factory=list)
    sort_by_object_id: bool | None = None

    def search(self) -> Search:
        criteria = tuple(one for criterion in self.search_criteria for one in criterion.criteria())
        return Search(criteria, min(self.max_items or PAGE, PAGE))


def search_of(body: SearchFilter | None) -> Search:
    """An empty body searches for everything."""
    return (body or SearchFilter()).search()


#: A name like the reference's settings have.
SETTING_NAME = re.compile("[a-z][A-Za-z0-9]{2,127}")
