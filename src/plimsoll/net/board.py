"""Where the floors in force are posted: every gate of a process reads the same board."""

from __future__ import annotations

from collections.abc import Callable

from plimsoll.tls.floors import FloorSnapshot

Subscriber = Callable[[FloorSnapshot], None]


class FloorBoard:
    """Holds the current snapshot and tells subscribers of a new one, in the caller's own call.

    Confined to the event loop's thread: when `publish` returns, every gate decides by the new snapshot.
    """

    __slots__ = ("_subscribers", "snapshot")

    def __init__(self, snapshot: FloorSnapshot) -> None:
        self.snapshot = snapshot
        self._subscribers: list[Subscriber] = []

    def publish(self, snapshot: FloorSnapshot) -> None:
        """Put a new snapshot in force."""
        self.snapshot = snapshot
        for subscriber in tuple(self._subscribers):
            subscriber(snapshot)

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Call `subscriber` with each snapshot that is published from now on; the answer ends that."""
        self._subscribers.append(subscriber)

        def unsubscribe() -> None:
            if subscriber in self._subscribers:
                self._subscribers.remove(subscriber)

        return unsubscribe
