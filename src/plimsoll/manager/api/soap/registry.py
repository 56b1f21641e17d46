"""The operations by name. What is not declared here does not exist: neither in the WSDL nor for a caller."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from plimsoll.manager.api.backend import Backend
from plimsoll.manager.api.soap.codec import Kind, kind_of
from plimsoll.manager.api.soap.names import argument, wire
from plimsoll.manager.ports import Principal
from plimsoll.net.gate import Connection


@dataclass(frozen=True, slots=True)
class Call:
    """Who calls, with what. `asks` is the session's principal; of operations without a session it is None."""

    back: Backend
    connection: Connection | None
    principal: Principal | None

    @property
    def asks(self) -> Principal:
        assert self.principal is not None, "the operation is declared without a session"
        return self.principal


@dataclass(frozen=True, slots=True)
class Operation:
    """`arguments` are name in Python, name on the wire, kind; the session's ``sID`` is the last of them on the wire."""

    name: str
    run: Callable[..., Any]
    arguments: tuple[tuple[str, str, Kind], ...]
    result: Kind | None
    session: bool
    text: str


OPERATIONS: dict[str, Operation] = {}
F = TypeVar("F", bound=Callable[..., Any])

SESSION = ("s_id", "sID", Kind(str, False, False))


def operation(*, session: bool = True, **names: str) -> Callable[[F], F]:
    """Declares a function as an operation: its name, arguments, result and docstring are the WSDL's.

    `names` are those of arguments that the reference spells in a way of its own.
    """

    def declare(function: F) -> F:
        name = wire(function.__name__)
        hints = typing.get_type_hints(function)
        parameters = list(inspect.signature(function).parameters)[1:]  # the first is the call
        arguments = tuple((one, names.get(one) or argument(one), kind_of(hints[one])) for one in parameters)
        result = None if hints["return"] is type(None) else kind_of(hints["return"])
        text = " ".join((function.__doc__ or "").split())
        OPERATIONS[name] = Operation(
            name, function, (*arguments, SESSION) if session else arguments, result, session, text
        )
        return function

    return declare
