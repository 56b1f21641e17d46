"""A relay that means harm, with a certificate of the installation: everything it can do is refused with the event that
says so, nothing of it is installed, and the next source is asked.
"""

from __future__ import annotations

import contextlib
import json
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from securesystemslib.signer import CryptoSigner
from tests.support.releases import Publisher
from tests.support.sources import Act, Reply, Source, reply_of
from tests.unit.agent.software.conftest import CONTENT, Yard
from tuf.api.metadata import Metadata, Snapshot, Targets, Timestamp

from plimsoll.agent.software import fetching, incoming
from plimsoll.agent.software.fetching import (
    MISMATCH,
    PACKAGE_INVALID,
    SIGNATURE_INVALID,
    SIGNATURE_MISSING,
    SoftwareError,
)
from plimsoll.messages import METADATA, TARGETS
from plimsoll.messages.release import ReleaseKey
from plimsoll.net import download

#: What an attack expects: the event, and words that tell a person what happened.
Expected = tuple[int, str]


@dataclass
class Attack:
    """What the relay does, once `prepare` has looked at (or aged) the repository."""

    name: str
    expected: Expected
    act: Act | None = None
    prepare: Callable[[Yard], Act] | None = None
    certified: str = ""
    installation: str | None = None
    wish: dict[str, Any] = field(default_factory=dict)


def package(change: Callable[[Reply, Mapping[str, str]], Reply | None]) -> Act:
    """Harm to packages alone."""

    def act(path: str, headers: Mapping[str, str], reply: Reply) -> Reply | None:
        return change(reply, headers) if path.startswith(f"{TARGETS}/") else reply

    return act


def metadata(name: str, change: Callable[[Reply], Reply | None]) -> Act:
    """Harm to one kind of metadata alone."""

    def act(path: str, headers: Mapping[str, str], reply: Reply) -> Reply | None:
        return change(reply) if path.startswith(f"{METADATA}/") and path.endswith(name) else reply

    return act


def trickle(head: bytes) -> Reply:
    """A head, and then a byte now and then for as long as somebody listens."""

    def send(sock: ssl.SSLSocket) -> None:
        sock.sendall(head)
        with contextlib.suppress(OSError):
            for _ in range(200):
                sock.sendall(b"x")
                time.sleep(0.05)

    return Reply(raw=send)


def endless(head: bytes) -> Reply:
    def send(sock: ssl.SSLSocket) -> None:
        sock.sendall(head)
        with contextlib.suppress(OSError):
            for _ in range(4000):
                sock.sendall(bytes(65536))

    return Reply(raw=send)


def raw(data: bytes) -> Reply:
    return Reply(raw=lambda sock: sock.sendall(data))


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"


def changed(reply: Reply, change: Callable[[dict[str, Any]], None]) -> Reply:
    """The metadata with something else in it, its signatures as they were."""
    text = json.loads(reply.body)
    change(text["signed"])
    return Reply(body=json.dumps(text).encode())


def kept(yard: Yard) -> dict[str, bytes]:
    """All metadata as it is now."""
    folder = yard.desk.home.path / "software" / "metadata"
    return {path.name: path.read_bytes() for path in folder.glob("*.json")}


def from_memory(former: dict[str, bytes], only: str = "") -> Act:
    """Gives former metadata in the place of today's: all of it, or what has that in its name."""

    def act(path: str, headers: Mapping[str, str], reply: Reply) -> Reply:
        name = path.rpartition("/")[2]
        if path.startswith(f"{METADATA}/") and (not only or only in name):
            return reply_of(former.get(name), headers)
        return reply

    return act


def downgraded(yard: Yard) -> Act:
    """What it had before today's, after the agent has seen today's."""
    former = kept(yard)
    time.sleep(1.1)  # the version is the time in seconds
    yard.publisher.import_into(yard.desk.services, b"newer", version="12.2.0")
    with yard.source(role="manager") as manager:
        yard.use(manager)
        yard.fetch()
    yard.shelf.prune(())
    return from_memory(former)


def frozen(yard: Yard) -> Act:
    """Yesterday's for ever: signed, and long expired."""
    repository = yard.desk.services.software_metadata._repository
    real, now = repository._clock, time.time()
    repository._clock = lambda: now - 30 * 86400
    for path in (*repository.folder.glob("*.targets.json"), repository.folder / "timestamp.json"):
        path.unlink()
    yard.desk.services.software_metadata.tend()
    former = kept(yard)
    repository._clock = real
    yard.desk.services.software_metadata.tend()
    return from_memory(former)


def mixed(part: str) -> Callable[[Yard], Act]:
    """One file of another day between today's, under today's name."""

    def prepare(yard: Yard) -> Act:
        repository = yard.desk.services.software_metadata._repository
        former = next(data for name, data in kept(yard).items() if part in name)
        time.sleep(1.1)
        yard.publisher.import_into(yard.desk.services, b"newer", version="12.2.0")
        now = next(name for name in sorted(kept(yard), reverse=True) if part in name)
        assert (repository.folder / now).exists()
        return from_memory({now: former}, only=part)

    return prepare


def forged(yard: Yard) -> Act:
    """A whole repository of its own making, signed with keys that no root of ours names."""
    repository = yard.desk.services.software_metadata._repository
    signer = CryptoSigner.generate_ed25519()

    def resigned(reply: Reply) -> Reply:
        found: Metadata[Any] = Metadata.from_bytes(reply.body)
        found.signed.version += 1
        found.sign(signer)
        return Reply(body=found.to_bytes())

    assert repository.begun
    return metadata("timestamp.json", resigned)


def online_keys(yard: Yard, target: dict[str, Any], path: str = "") -> Act:
    """Whoever stole the keys that sign metadata, but no release key: all of it is valid, and says what he likes."""
    repository = yard.desk.services.software_metadata._repository
    version = int(time.time()) + 60
    keys = repository.keys
    targets = Metadata(Targets(version=version, expires=_later()))
    entry = json.loads(json.dumps(target))
    targets.signed.targets[path or yard.package.target] = _target(path or yard.package.target, entry)
    targets.sign(CryptoSigner(keys.load("targets")))
    snapshot = Metadata(Snapshot(version=version, expires=_later()))
    snapshot.signed.meta["targets.json"].version = version
    snapshot.sign(CryptoSigner(keys.load("online")))
    timestamp = Metadata(Timestamp(version=version, expires=_later()))
    timestamp.signed.snapshot_meta.version = version
    timestamp.sign(CryptoSigner(keys.load("online")))
    made = {
        "timestamp.json": timestamp.to_bytes(),
        f"{version}.snapshot.json": snapshot.to_bytes(),
        f"{version}.targets.json": targets.to_bytes(),
    }

    def act(asked: str, headers: Mapping[str, str], reply: Reply) -> Reply:
        name = asked.rpartition("/")[2]
        return reply_of(made[name], headers) if name in made else reply

    return act


def _later() -> Any:
    import datetime

    return datetime.datetime.now(datetime.UTC).replace(microsecond=0) + datetime.timedelta(days=3)


def _target(path: str, entry: dict[str, Any]) -> Any:
    from tuf.api.metadata import TargetFile

    return TargetFile(entry["length"], {"sha256": entry["sha256"]}, path, {"custom": entry["custom"]})


def of_package(yard: Yard, **changes: Any) -> dict[str, Any]:
    """The target of the honest package, with something else in it."""
    one = yard.package
    return {"length": one.length, "sha256": one.sha256, "custom": {"signature": one.signature}, **changes}


def stolen(signature: Callable[[Yard], str | None], path: str = "") -> Callable[[Yard], Act]:
    """With stolen metadata keys, and that release signature."""

    def prepare(yard: Yard) -> Act:
        text = signature(yard)
        return online_keys(yard, of_package(yard, custom={} if text is None else {"signature": text}), path)

    return prepare


OLD = b"an old agent with a hole in it"
ASTRAY = "../../etc/cron.d/x"


def old_as_new(yard: Yard) -> Act:
    """An old package, honestly signed as what it is, offered under the name of the new one."""
    old = yard.publisher.import_into(yard.desk.services, OLD, version="9.6.2")
    return online_keys(yard, {"length": old.length, "sha256": old.sha256, "custom": {"signature": old.signature}})


ATTACKS = [
    # -- packages
    Attack("cut off, as if it were whole", (PACKAGE_INVALID, "has 767999 bytes for the package"),
           package(lambda reply, _: Reply(body=reply.body[:-1]))),
    Attack("cut off in mid transfer", (PACKAGE_INVALID, "of 768000 bytes are here"),
           package(lambda reply, _: raw(HEAD % len(CONTENT) + reply.body[:100_000]))),
    Attack("altered", (PACKAGE_INVALID, "its SHA-256 is"),
           package(lambda reply, _: Reply(body=b"x" + reply.body[1:]))),
    Attack("longer", (PACKAGE_INVALID, "has 768001 bytes"),
           package(lambda reply, _: Reply(body=reply.body + b"x"))),
    Attack("without an end", (PACKAGE_INVALID, "no usable length"),
           package(lambda *_: endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"))),
    Attack("more bytes than announced", (PACKAGE_INVALID, "its SHA-256 is"),
           package(lambda *_: endless(HEAD % len(CONTENT)))),
    Attack("an announced terabyte", (PACKAGE_INVALID, "no usable length"),
           package(lambda *_: endless(HEAD % (1 << 45)))),
    Attack("another file", (PACKAGE_INVALID, "has 5 bytes"), package(lambda *_: Reply(body=b"other"))),
    Attack("a trickle", (PACKAGE_INVALID, "no answer within"), package(lambda *_: trickle(HEAD % len(CONTENT)))),
    Attack("a trickle in the head", (PACKAGE_INVALID, "no answer within"),
           package(lambda *_: trickle(b"HTTP/1.1 200 OK\r\nX: "))),
    Attack("nothing at all", (PACKAGE_INVALID, "the connection ended"), package(lambda *_: None)),
    Attack("the way to another place", (PACKAGE_INVALID, "HTTP status 302"),
           package(lambda *_: Reply(302, b"", {"Location": "https://127.0.0.1:1/evil"}))),
    Attack("a part where the whole was asked for", (PACKAGE_INVALID, "began at byte 100"),
           package(lambda reply, _: Reply(206, reply.body[100:], {"Content-Range": "bytes 100-767999/768000"}))),
    Attack("a range that does not fit", (PACKAGE_INVALID, "HTTP status 206"),
           package(lambda reply, _: Reply(206, reply.body, {"Content-Range": "bytes 0-9/768000"}))),
    Attack("two lengths", (PACKAGE_INVALID, "no usable length"),
           package(lambda *_: raw(b"HTTP/1.1 200 OK\r\nContent-Length: 5, 768000\r\n\r\nother"))),
    Attack("no HTTP", (PACKAGE_INVALID, "is no HTTP"), package(lambda *_: raw(b"SSH-2.0-x\r\n\r\n"))),
    Attack("a head without an end", (PACKAGE_INVALID, "head is too long"),
           package(lambda *_: endless(b"HTTP/1.1 200 OK\r\n"))),
    Attack("it is not there", (PACKAGE_INVALID, "does not have the package"), package(lambda *_: Reply(404))),
    # -- metadata
    Attack("altered metadata", (SIGNATURE_INVALID, "does not hold"),
           metadata("timestamp.json", lambda reply: changed(reply, lambda signed: signed.update(version=2 << 30)))),
    Attack("altered targets", (MISMATCH, "does not belong together"),
           metadata("targets.json", lambda reply: changed(reply, lambda signed: signed.update(targets={})))),
    Attack("forged metadata", (SIGNATURE_INVALID, "does not hold"), prepare=forged),
    Attack("metadata that is none", (SIGNATURE_INVALID, "does not hold"),
           metadata("timestamp.json", lambda _: Reply(body=b"\x00\xff{"))),
    Attack("metadata of another role", (SIGNATURE_INVALID, "does not hold"),
           lambda path, headers, reply: Reply(body=b'{"signatures":[],"signed":{"_type":"root"}}')
           if path.endswith("timestamp.json") else reply),
    Attack("a root of its own", (SIGNATURE_INVALID, "does not hold"),
           lambda path, headers, reply: Reply(body=b"{}") if path.endswith("2.root.json") else reply),
    Attack("endless metadata", (SIGNATURE_INVALID, "longer than any"),
           metadata("timestamp.json", lambda _: endless(HEAD % (1 << 30)))),
    Attack("a trickle of metadata", (SIGNATURE_MISSING, "could not be had"),
           metadata("timestamp.json", lambda _: trickle(HEAD % 5000))),
    Attack("no metadata", (SIGNATURE_MISSING, "could not be had"), metadata("timestamp.json", lambda _: Reply(404))),
    Attack("no targets", (SIGNATURE_MISSING, "could not be had"), metadata("targets.json", lambda _: Reply(404))),
    Attack("an error of its own", (SIGNATURE_MISSING, "could not be had"),
           metadata("timestamp.json", lambda _: Reply(500))),
    Attack("downgraded", (MISMATCH, "older than what was seen before"), prepare=downgraded),
    Attack("frozen", (MISMATCH, "has expired"), prepare=frozen),
    Attack("mixed up: a former snapshot", (MISMATCH, "does not belong together"), prepare=mixed(".snapshot.")),
    Attack("mixed up: former targets", (MISMATCH, "does not belong together"), prepare=mixed(".targets.")),
    # -- with the keys that sign metadata, but no release key
    Attack("stolen keys, no release signature", (SIGNATURE_MISSING, "without a release signature"),
           prepare=stolen(lambda yard: None)),
    Attack("stolen keys, a release signature of theirs", (SIGNATURE_INVALID, "is not trusted here"),
           prepare=stolen(lambda yard: Publisher().sign(CONTENT))),
    Attack("stolen keys, a changed release signature", (SIGNATURE_INVALID, "was changed"),
           prepare=stolen(lambda yard: yard.package.signature.replace("12.1.0", "13.0.0"))),
    Attack("stolen keys, an old package as the new one", (MISMATCH, "under the name of another"), prepare=old_as_new),
    Attack("stolen keys, a name that leads elsewhere", (MISMATCH, "under the name of another"),
           prepare=stolen(lambda yard: yard.package.signature, ASTRAY), wish={"target": ASTRAY}),
    # -- who it is
    Attack("an agent that poses as a relay", (SIGNATURE_MISSING, "it is an agent, and a relay was expected"),
           certified="agent"),
    Attack("a relay of another installation", (SIGNATURE_MISSING, "belongs to another installation"),
           installation="elsewhere"),
]  # fmt: skip


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trickle is given up after a second rather than half a minute."""
    monkeypatch.setattr(download, "GRACE", 1.0)


@contextlib.contextmanager
def hostile(yard: Yard, attack: Attack) -> Iterator[Source]:
    act = attack.act or (lambda path, headers, reply: reply)
    if attack.prepare is not None:
        act = attack.prepare(yard)
    with yard.source(act, certified=attack.certified, installation=attack.installation) as made:
        yield made


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name.replace(" ", "-"))
def test_a_hostile_relay_is_refused_and_the_next_source_is_asked(yard: Yard, attack: Attack) -> None:
    number, said = attack.expected
    with hostile(yard, attack) as relay:
        yard.use(relay)
        with pytest.raises(SoftwareError) as caught:
            yard.fetch(**attack.wish)
        assert caught.value.number == number, caught.value
        assert "nothing was installed" in str(caught.value)
        (refusal,) = caught.value.refusals
        assert (refusal.number, refusal.source) == (number, relay.name)
        assert said in refusal.text
        assert yard.installed == []
        if attack.name.startswith("stolen"):
            # Their state is newer than ours and validly signed: the manager's own is no longer believed, and that is
            # for people to mend. Nothing of theirs is installed.
            return
        with yard.source(role="manager") as manager:
            yard.use(relay, manager)
            fetched = yard.fetch()
    assert [one.number for one in fetched.refusals] == [number]
    assert fetched.source == manager.name
    assert Path(fetched.path).read_bytes() == CONTENT
    assert yard.installed == [f"{yard.package.sha256}/{yard.package.file}"]


def test_what_a_hostile_relay_began_with_does_not_spoil_the_honest_one(yard: Yard) -> None:
    """It sends half of the right length, wrong: whoever goes on with that is not to blame."""
    half = package(lambda reply, _: raw(HEAD % len(CONTENT) + bytes(300_000)))
    with yard.source(half) as relay, yard.source(role="manager") as manager:
        yard.use(relay, manager)
        fetched = yard.fetch()
        assert [one.source for one in fetched.refusals] == [relay.name]
        parts = [part for _, part in manager.packages_asked]
    assert parts == ["bytes=300000-", ""], "the rest, and, as that was not it, the whole"
    assert Path(fetched.path).read_bytes() == CONTENT


def test_a_hostile_relay_cannot_make_an_agent_forget_what_it_saw(yard: Yard) -> None:
    """After a refusal the newest metadata that was verified is still what an older one is recognised by."""
    act = downgraded(yard)
    with yard.source(act) as relay:
        for _ in range(2):
            yard.use(relay)
            with pytest.raises(SoftwareError) as caught:
                yard.fetch()
            assert caught.value.number == MISMATCH


def test_nothing_is_asked_of_one_who_is_not_of_the_fleet(yard: Yard) -> None:
    with yard.source(certified="agent") as relay:
        yard.use(relay)
        with pytest.raises(SoftwareError):
            yard.fetch()
        assert relay.asked == []


def test_release_keys_of_a_manager_that_was_broken_into_are_not_believed(yard: Yard) -> None:
    """It can hand out what it likes: statements that no trusted key signed do not follow."""
    from plimsoll.agent.software.shelf import Shelf
    from plimsoll.messages import SoftwareNews, release

    theirs = Publisher(name="theirs")
    lines = ["plimsoll release keys 1", "number: 2", *release._key_lines([ReleaseKey(theirs.public.raw)])]
    news = SoftwareNews(trust=[release.signed_text(lines, theirs.key)], root="{}")
    shelf = Shelf(yard.home.path)
    root = shelf.root()
    following = shelf.take(news)
    with pytest.raises(SoftwareError, match=r"not believed.*Those that counted before still do") as caught:
        fetching.follow(yard.home.path, following)
    assert caught.value.number == SIGNATURE_INVALID
    trust = shelf.trust()
    assert trust is not None
    assert trust.trusts(yard.publisher.public.id)
    assert shelf.root() == root, "the root that it began with is no manager's to replace"
    first = release.first_trust([theirs.public])
    assert shelf.take(SoftwareNews(trust=[first.text])) == [first.text], "nor is there a second beginning"


def test_a_disk_that_has_no_room_is_said_and_nobody_else_is_asked(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incoming, "RESERVE", 1 << 60)
    with yard.source() as relay, yard.source(role="manager") as manager:
        yard.use(relay, manager)
        with pytest.raises(SoftwareError, match="Make room on this host") as caught:
            yard.fetch()
        assert caught.value.number == fetching.DISK_FULL
        assert manager.asked == []
    assert yard.installed == []
