"""What managers tell each other: what it says, what it leaves out, and what cannot be read."""

from __future__ import annotations

from plimsoll.manager.services import node_news
from plimsoll.manager.services.events import EventView
from plimsoll.manager.services.hub import (
    AuthoritiesChanged,
    CertificateChanged,
    Change,
    ComputersChanged,
    EventRecorded,
    RelayGroupsChanged,
    SoftwareChanged,
)
from plimsoll.manager.services.node_news import News, Refusal

EVENT = EventRecorded(EventView(1, 0.0, 1950, "x", "info", "text", None, "", "manager", {}))


def test_what_a_transaction_changed_is_told_by_name() -> None:
    news = node_news.of_changes("me", [ComputersChanged(("a", "b")), EVENT, SoftwareChanged(), RelayGroupsChanged()])
    assert news == News("me", ["a", "b"], events=True, software=True, groups=True)
    told = node_news.changes(node_news.decode(node_news.encode(news)) or News(""))
    assert told == [ComputersChanged(("a", "b")), SoftwareChanged(), RelayGroupsChanged()]
    assert node_news.of_changes("me", []) is None


def test_a_certificate_of_4119_is_each_nodes_own() -> None:
    assert node_news.of_changes("me", [CertificateChanged()]) is None
    changed: list[Change] = [AuthoritiesChanged()]
    assert node_news.of_changes("me", changed) == News("me", authorities=True)


def test_more_than_a_message_holds_is_many() -> None:
    news = node_news.of_changes("me", [ComputersChanged(tuple(map(str, range(1000))))])
    assert news is not None
    assert news.many
    assert not news.computers
    assert node_news.changes(news, ["x"]) == [ComputersChanged(("x",))]
    long = News("me", refusals=[Refusal("heartbeat", "a" * 500, "j" * 500, 1.0)] * 20)
    text = node_news.encode(long)
    assert len(text) < node_news.LONGEST
    read = node_news.decode(text)
    assert read is not None
    assert read.many
    assert read.floors


def test_what_cannot_be_read_means_that_something_was_missed() -> None:
    for text in ("", "[]", "{", '{"node": 5}'):
        assert node_news.decode(text) is None
    # A later release may say more.
    assert node_news.decode('{"node":"a","floors":true,"more":1}') == News("a", floors=True)
