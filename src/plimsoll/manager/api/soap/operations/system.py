"""Events, alerts and the fleet in a few figures."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime

from plimsoll.manager.api.soap.operations.hosts import select, summary
from plimsoll.manager.api.soap.registry import Call, operation
from plimsoll.manager.api.soap.shapes import (
    AlertStatusTransport,
    ArrayOfSystemEventTransport,
    EnumEventOrigin,
    EnumHostFilterType,
    EnumOperator,
    EnumTimeFilterType,
    HostFilterTransport,
    IDFilterTransport,
    StatusSummaryTransport,
    SystemEventListTransport,
    SystemEventTransport,
    TimeFilterTransport,
)
from plimsoll.manager.ports import BadInput
from plimsoll.manager.services.events import EventView, open_alerts

#: How many events one answer carries; `truncated` says that there are more.
MOST = 5000
_SPANS = {
    EnumTimeFilterType.LAST_HOUR: 3600.0,
    EnumTimeFilterType.LAST_24_HOURS: 86400.0,
    EnumTimeFilterType.LAST_7_DAYS: 7 * 86400.0,
    EnumTimeFilterType.PREVIOUS_MONTH: 31 * 86400.0,
}
_LEVELS = {"info": "Info", "warning": "Warning", "error": "Error"}


@operation(event_id_filter="eventIdFilter")
def system_event_retrieve(
    call: Call,
    time_filter: TimeFilterTransport | None,
    host_filter: HostFilterTransport | None,
    event_id_filter: IDFilterTransport | None,
    include_non_host_events: bool | None,
) -> SystemEventListTransport:
    """Events that pass all filters, the oldest first."""
    keep = _between(time_filter)
    after, accept = _by_id(event_id_filter)
    numbers, whose = _hosts(call, host_filter)
    everything = include_non_host_events is not False
    found: list[SystemEventTransport] = []
    truncated = False
    for event in call.back.services.events.export(call.asks, after):
        of_host = event.computer is not None
        if not keep(event.time) or not accept(event.id) or (not of_host and not everything):
            continue
        if of_host and whose is not None and event.computer not in whose:
            continue
        if len(found) == MOST:
            truncated = True
            break
        found.append(_event(event, numbers))
    return SystemEventListTransport(truncated, ArrayOfSystemEventTransport(found))


@operation(event_id_filter="eventIdFilter")
def system_event_retrieve2(
    call: Call,
    time_filter: TimeFilterTransport | None,
    host_filter: HostFilterTransport | None,
    event_id_filter: IDFilterTransport | None,
    include_non_host_events: bool | None,
) -> SystemEventListTransport:
    """As systemEventRetrieve."""
    return system_event_retrieve(call, time_filter, host_filter, event_id_filter, include_non_host_events)


@operation(event_id_filter="eventIdFilter")
def system_event_retrieve_short_description(
    call: Call,
    time_filter: TimeFilterTransport | None,
    host_filter: HostFilterTransport | None,
    event_id_filter: IDFilterTransport | None,
    include_non_host_events: bool | None,
) -> SystemEventListTransport:
    """As systemEventRetrieve: descriptions here are short already."""
    return system_event_retrieve(call, time_filter, host_filter, event_id_filter, include_non_host_events)


def _between(given: TimeFilterTransport | None) -> Callable[[float], bool]:
    if given is None:
        return lambda _: True
    if given.type in _SPANS:
        since = time.time() - _SPANS[given.type]
        return lambda moment: moment >= since
    if given.type is EnumTimeFilterType.SPECIFIC_TIME:
        if given.specific_time is None:
            raise BadInput("a filter of type SPECIFIC_TIME has specificTime; nothing was read")
        begin, end = given.specific_time, given.specific_time
    else:
        if given.range_from is None or given.range_to is None:
            raise BadInput("a filter of type CUSTOM_RANGE has rangeFrom and rangeTo; nothing was read")
        begin, end = given.range_from, given.range_to
    first, last = begin.timestamp(), end.timestamp()
    # A moment on the wire has seconds; the event's own has fractions of them.
    return lambda moment: first <= moment < last + 1.0


def _by_id(given: IDFilterTransport | None) -> tuple[int, Callable[[int], bool]]:
    if given is None:
        return 0, lambda _: True
    wanted = given.id
    if given.operator is EnumOperator.GREATER_THAN:
        return max(wanted, 0), lambda number: number > wanted
    if given.operator is EnumOperator.EQUAL:
        return max(wanted - 1, 0), lambda number: number == wanted
    return 0, lambda number: number < wanted


def _hosts(call: Call, given: HostFilterTransport | None) -> tuple[dict[str, int], set[str] | None]:
    """The numbers of computers by id, and the ids that the filter means, None for all."""
    numbers = {view.id: view.number for view in call.back.services.computers.list(call.asks)}
    if given is None or given.type in (EnumHostFilterType.ALL_HOSTS, EnumHostFilterType.MY_HOSTS):
        return numbers, None
    return numbers, {view.id for view in select(call, given)}


def _event(event: EventView, numbers: dict[str, int]) -> SystemEventTransport:
    return SystemEventTransport(
        action_performed_by="System",
        description=event.description,
        event=event.name,
        event_id=event.number,
        event_origin=EnumEventOrigin.AGENT if event.origin == "agent" else EnumEventOrigin.MANAGER,
        manager_hostname=socket.gethostname(),
        system_event_id=event.id,
        tags="",
        target=event.target,
        target_id=None if event.computer is None else numbers.get(event.computer),
        target_type="Host" if event.computer is not None else "System",
        time=datetime.fromtimestamp(event.time, UTC),
        type=_LEVELS.get(event.level, "Info"),
    )


@operation()
def alert_status_retrieve(call: Call, count: int) -> list[AlertStatusTransport]:
    """What needs a person now, the newest first, at most so many: who is kept out or silent, a change that waits."""
    if count < 1:
        return []
    return _alerts(call)[:count]


def _alerts(call: Call) -> list[AlertStatusTransport]:
    """What began and has not ended, by the newest thousand events."""
    return [
        AlertStatusTransport(
            event.id,
            event.name,
            "CRITICAL" if event.level == "error" else "WARNING",
            event.description,
            datetime.fromtimestamp(event.time, UTC),
        )
        for event in open_alerts(call.back.services.events.list(call.asks, None, 1000))
    ]


@operation()
def status_summary_retrieve(call: Call) -> StatusSummaryTransport:
    """The fleet in a few figures."""
    alerts = _alerts(call)
    critical = sum(one.severity == "CRITICAL" for one in alerts)
    return StatusSummaryTransport(
        critical, len(alerts) - critical, summary(call.back.services.computers.list(call.asks))
    )
