"""Downloads that go well in the end: broken off and gone on with, from one source after the other, in a real child."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgspec
import pytest
from tests.support.disk import small_disk
from tests.support.homes import FIXTURES
from tests.support.releases import Publisher
from tests.support.sources import Reply
from tests.unit.agent.software.conftest import CONTENT, Yard
from tests.unit.agent.software.test_hostile import HEAD, package, raw

from plimsoll.agent.software import child, fetching
from plimsoll.agent.software.fetching import Question, SoftwareError, Wish, fetch, follow
from plimsoll.agent.software.incoming import retry_after
from plimsoll.agent.software.shelf import Shelf, usable
from plimsoll.messages import SoftwareNews, release


def wish(yard: Yard) -> Wish:
    return Wish(target=yard.package.target, timeout=5.0, patience=0.0)


def test_a_package_is_fetched_once_and_kept(yard: Yard) -> None:
    with yard.source() as relay:
        yard.use(relay)
        told: list[tuple[int, int]] = []
        fetched = fetch(yard.home.path, wish(yard), lambda had, of: told.append((had, of)))
        path = Path(fetched.path)
        assert path.read_bytes() == CONTENT
        assert path.stat().st_mode & 0o777 == 0o600
        assert (fetched.version, fetched.platform, fetched.file) == ("12.1.0", "Debian_12", yard.package.file)
        assert (fetched.key, fetched.source) == (yard.publisher.public.id, relay.name)
        assert told
        assert told[0][1] == len(CONTENT)
        assert fetch(yard.home.path, wish(yard)).path == fetched.path
        assert len(relay.packages_asked) == 1
        path.write_bytes(CONTENT[:-1] + b"x")
        assert Path(fetch(yard.home.path, wish(yard)).path).read_bytes() == CONTENT, "what was changed comes again"


def test_relays_are_asked_in_their_order_and_the_manager_last(yard: Yard) -> None:
    def gone(*_: object) -> None:
        return None

    with yard.source(gone) as first, yard.source(gone) as second, yard.source(role="manager") as manager:
        yard.use(manager, first, second)
        fetched = yard.fetch()
    assert [one.source for one in fetched.refusals] == [first.name, second.name]
    assert fetched.source == manager.name


def test_a_relay_that_dies_in_mid_transfer_leaves_what_the_next_goes_on_with(yard: Yard) -> None:
    dies = package(lambda reply, _: raw(HEAD % len(CONTENT) + CONTENT[:500_000]))
    with yard.source(dies) as first, yard.source() as second:
        yard.use(first, second)
        fetched = yard.fetch()
    assert second.packages_asked == [(yard.package.sha256, "bytes=500000-")]
    assert Path(fetched.path).read_bytes() == CONTENT


def test_a_child_that_is_killed_in_mid_download_installs_nothing_and_the_next_goes_on(yard: Yard) -> None:
    half, go_on = threading.Event(), threading.Event()

    def slowly(reply: Reply, _: object) -> Reply:
        def send(sock: object) -> None:
            sock.sendall(HEAD % len(CONTENT) + CONTENT[:400_000])  # type: ignore[attr-defined]
            half.set()
            go_on.wait(20)

        return Reply(raw=send)

    with yard.source(package(slowly)) as relay:
        yard.use(relay)
        command = [sys.executable, "-m", "plimsoll.agent.software.child"]
        running = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        assert running.stdin is not None
        running.stdin.write(msgspec.json.encode(Question(home=str(yard.home.path), wish=wish(yard))) + b"\n")
        running.stdin.flush()
        assert half.wait(30)
        part = yard.shelf.incoming / yard.package.sha256
        for _ in range(200):
            if part.exists() and part.stat().st_size > 300_000:
                break
            time.sleep(0.05)
        running.kill()
        assert running.wait(20) == -signal.SIGKILL
        running.stdin.close()
        go_on.set()
        assert yard.installed == []
        have = part.stat().st_size
        assert 300_000 < have <= 400_000
    with yard.source() as relay:
        yard.use(relay)
        fetched = yard.fetch()
        assert relay.packages_asked == [(yard.package.sha256, f"bytes={have}-")]
    assert Path(fetched.path).read_bytes() == CONTENT


def test_a_child_ends_with_its_parent(yard: Yard) -> None:
    def never(*_: object) -> Reply:
        return Reply(raw=lambda sock: time.sleep(3))

    with yard.source(never) as relay:
        yard.use(relay)
        script = (
            "import sys; from pathlib import Path; from plimsoll.agent.software.fetching import *\n"
            "fetch(Path(sys.argv[1]), Wish(target='x', timeout=60))"
        )
        parent = subprocess.Popen([sys.executable, "-c", script, str(yard.home.path)])
        for _ in range(200):
            if relay.asked:
                break
            time.sleep(0.05)
        (begun,) = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
        parent.kill()
        parent.wait(20)
        for _ in range(100):
            state = Path(f"/proc/{begun}/stat")
            if not state.exists() or state.read_text().rpartition(") ")[2][0] == "Z":
                return
            time.sleep(0.05)
        os.kill(int(begun), signal.SIGKILL)
        raise AssertionError("the child goes on alone")


def test_who_is_busy_is_asked_again(yard: Yard) -> None:
    turns = iter([503, 503])

    def busy(reply: Reply, _: object) -> Reply:
        status = next(turns, 0)
        return Reply(status, b"{}", {"Retry-After": "1"}) if status else reply

    with yard.source(package(busy)) as relay:
        yard.use(relay)
        with pytest.raises(SoftwareError, match="every source is busy, nothing was installed"):
            yard.fetch()
        fetched = yard.fetch(patience=30.0)
    assert fetched.refusals == []
    assert len(relay.packages_asked) == 3


@pytest.mark.parametrize(
    ("said", "seconds"), [("7", 7.0), ("0", 1.0), ("99999", 300.0), ("soon", 10.0), ("-5", 10.0), ("", 10.0)]
)
def test_nobody_makes_us_wait_for_ever(said: str, seconds: float) -> None:
    assert retry_after({"retry-after": said}) == seconds


def test_an_agent_that_was_told_nothing_believes_nobody(yard: Yard) -> None:
    with yard.source() as relay:
        yard.use(relay)
        (yard.shelf.folder / "root.json").unlink()
        with pytest.raises(SoftwareError, match=r"given no root metadata.*comes with a heartbeat") as caught:
            yard.fetch()
        assert caught.value.number == fetching.SIGNATURE_MISSING
        (yard.shelf.folder / "trust.txt").write_text("nonsense")
        with pytest.raises(SoftwareError, match="is damaged"):
            yard.fetch()
        assert yard.shelf.state().trust > 1000, "what is damaged is not replaced in silence"
        assert relay.asked == []
    yard.use()
    yard.pin_again()
    with pytest.raises(SoftwareError, match="no relay and no manager is known"):
        yard.fetch()


def test_one_download_at_a_time(yard: Yard) -> None:
    with yard.source() as relay:
        yard.use(relay)
        with yard.shelf.lock(), pytest.raises(SoftwareError, match="another process downloads") as caught:
            fetch(yard.home.path, wish(yard))
        assert caught.value.number == fetching.BUSY


def test_what_was_ordered_is_what_must_come(yard: Yard) -> None:
    with yard.source() as relay:
        yard.use(relay)
        for other in ({"version": "12.0.0"}, {"length": 5}, {"sha256": "0" * 64}):
            with pytest.raises(SoftwareError, match="was ordered") as caught:
                yard.fetch(**other)
            assert caught.value.number == fetching.MISMATCH
        with pytest.raises(SoftwareError, match="not new enough") as caught:
            yard.fetch(target="agent/Debian_12/x86_64/13.0.0/x.deb")
        assert caught.value.number == fetching.SIGNATURE_MISSING
        assert relay.packages_asked == []


def test_a_disk_that_fills_up_in_mid_download_keeps_nothing(tmp_path: Path) -> None:
    """The file system is full while the bytes come; once there is room, the same package is fetched."""
    with small_disk(tmp_path) as disk:
        command = [sys.executable, "-m", "tests.unit.agent.software.full_download", str(disk.home)]
        running = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=FIXTURES.parents[2]
        )
        assert running.stdin is not None
        assert running.stdout is not None
        with running:
            said = []
            for act in (disk.fill, disk.free, None):
                said.append(running.stdout.readline().strip())
                if act is not None:
                    act(running.pid)
                running.stdin.write("go\n")
                running.stdin.flush()
        assert said == ["half", "724, left: 0", "fetched"]
        assert running.returncode == 0


def test_other_packages_make_room_for_the_one_that_is_wanted(yard: Yard) -> None:
    later = yard.publisher.import_into(yard.desk.services, b"later", version="12.2.0")
    with yard.source() as relay:
        yard.use(relay)
        yard.fetch()
        (yard.shelf.incoming / ("0" * 64)).write_bytes(b"given up")
        yard.fetch(target=later.target)
    assert yard.installed == [f"{later.sha256}/{later.file}"]
    assert list(yard.shelf.incoming.iterdir()) == []


# -- release keys


def test_release_keys_follow_each_other(yard: Yard) -> None:
    other = Publisher(name="next")
    first = yard.shelf.trust()
    assert first is not None
    second = release.next_trust(first, [yard.publisher.public, other.public], yard.publisher.key)
    third = release.next_trust(second, [other.public], other.key)
    assert follow(yard.home.path, [second.text, third.text]) == 3
    assert yard.shelf.trust() == third
    with yard.source() as relay:
        yard.use(relay)
        with pytest.raises(SoftwareError, match="is not trusted here") as caught:
            yard.fetch()
        assert caught.value.number == fetching.SIGNATURE_INVALID
    with pytest.raises(SoftwareError, match="does not follow statement 3"):
        follow(yard.home.path, [second.text])


def test_statements_before_a_wrong_one_are_taken(yard: Yard) -> None:
    other = Publisher(name="next")
    first = yard.shelf.trust()
    assert first is not None
    second = release.next_trust(first, [other.public], yard.publisher.key)
    forged = second.text.replace("number: 2", "number: 3")
    with pytest.raises(SoftwareError, match="not believed"):
        follow(yard.home.path, [second.text, forged])
    assert yard.shelf.trust() == second


def test_nobody_follows_from_nothing(tmp_path: Path) -> None:
    with pytest.raises(SoftwareError, match="there is none to follow"):
        follow(tmp_path, ["x"])


# -- small parts


def test_a_list_of_relays_is_bounded_and_read_with_care(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    shelf.take(SoftwareNews(sources="d", relays=[f"10.0.0.{n}:4122" for n in range(100)]))
    assert len(shelf.sources().relays) == 64
    (shelf.folder / "sources.json").write_text("{")
    assert shelf.sources().relays == []
    assert usable(["10.0.0.1:4122", "[::1]:4122", "relay.example:1", "x", ":1", "x:0", "x:70000", "x:y", "x:²"]) == [
        ("10.0.0.1", 4122),
        ("::1", 4122),
        ("relay.example", 1),
    ]


@pytest.mark.parametrize(
    ("question", "said"), [(b"nonsense", "cannot read its question"), (b"", "cannot read its question")]
)
def test_a_child_that_is_asked_nonsense(question: bytes, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "plimsoll.agent.software.child"], input=question, capture_output=True, timeout=60
    )
    assert done.returncode == 1
    assert said in done.stderr.decode()


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("import sys; sys.stderr.write('it broke\\n'); sys.exit(3)", "it broke"),
        ("print('nonsense')", "its answer cannot be read"),
        ("pass", "it said nothing"),
    ],
)
def test_a_child_that_fails(tmp_path: Path, script: str, said: str) -> None:
    with pytest.raises(SoftwareError, match=said):
        fetch(tmp_path, Wish(target="x"), child=[sys.executable, "-c", script])


def test_a_child_that_cannot_start(tmp_path: Path) -> None:
    with pytest.raises(SoftwareError, match="did not start"):
        fetch(tmp_path, Wish(target="x"), child=[str(tmp_path / "none")])


def test_gravity_knows_every_refusal() -> None:
    assert set(child._GRAVITY) == {
        fetching.SIGNATURE_INVALID,
        fetching.PACKAGE_INVALID,
        fetching.SIGNATURE_MISSING,
        fetching.MISMATCH,
    }
