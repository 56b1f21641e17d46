"""The software repository: what comes in, what is refused, what is found, and what a crash or a full disk leaves."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.disk import small_disk
from tests.support.homes import FIXTURES, ROOT, Desk, desk
from tests.support.releases import Publisher

from plimsoll.manager.ports import BadInput, Conflict, NotFound
from plimsoll.manager.services.software import SoftwareService
from plimsoll.manager.software.depot import Depot, DiskFull
from plimsoll.messages import release

CONTENT = bytes(range(256)) * 5000


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path) as opened:
        yield opened


@pytest.fixture
def publisher(at: Desk) -> Publisher:
    return Publisher().trusted_by(at.services)


def left(at: Desk) -> list[str]:
    """Files in the depot, whole or not."""
    places = [at.home.path / "software" / name for name in ("files", "incoming")]
    return sorted(path.name for place in places if place.is_dir() for path in place.iterdir())


def events(at: Desk) -> list[tuple[int, str]]:
    return [(one.number, one.description) for one in at.services.events.list(ROOT)]


@pytest.mark.rule("R9")
def test_a_signed_package_is_kept_and_found(at: Desk, publisher: Publisher, tmp_path: Path) -> None:
    path = publisher.write(tmp_path / "in", CONTENT)
    imported = at.services.software.take(path, path.with_name(f"{path.name}.sig").read_text(), origin="by hand")
    view = imported.package
    assert imported.new
    assert (view.version, view.platform, view.length, view.key) == (
        "12.1.0",
        "Debian_12",
        len(CONTENT),
        publisher.public.id,
    )
    kept = at.services.software.path(ROOT, view.id)
    assert kept.read_bytes() == CONTENT
    assert kept.stat().st_mode & 0o777 == 0o600
    assert left(at) == [view.sha256]
    assert at.services.software.newest(ROOT, "Debian_12", "x86_64") == view
    assert events(at)[-1][0] == 1970
    again = at.services.software.take(path, view.signature, origin="by hand")
    assert (again.new, again.package) == (False, view)
    assert any(entry.action == "software.import" for entry in at.services.access.audit(ROOT))


@pytest.mark.rule("R9")
def test_nothing_comes_in_without_a_signature_that_holds(at: Desk) -> None:
    begin = at.services.software.begin
    publisher = Publisher()
    with pytest.raises(BadInput, match=r"no release key is trusted yet.*nothing was kept"):
        begin(ROOT, publisher.sign(CONTENT))
    publisher.trusted_by(at.services)
    with pytest.raises(BadInput, match=r"no release signature.*nothing was kept"):
        begin(ROOT, "")
    with pytest.raises(BadInput, match=r"is not trusted here.*nothing was kept"):
        begin(ROOT, Publisher().sign(CONTENT))
    with pytest.raises(BadInput, match=r"was changed.*nothing was kept"):
        begin(ROOT, publisher.sign(CONTENT).replace("12.1.0", "12.9.0"))
    assert [number for number, _ in events(at)].count(1971) == 4
    assert left(at) == []
    assert at.services.software.list(ROOT) == ()


def test_a_file_other_than_the_signed_one_is_refused(at: Desk, publisher: Publisher) -> None:
    signature = publisher.sign(CONTENT)
    for content, why in (
        (CONTENT[:-1], "was cut off"),
        (CONTENT + b"x", "longer than"),
        (b"x" + CONTENT[1:], "is not the one that was signed"),
        (b"", "was cut off"),
    ):
        made = at.services.software.begin(ROOT, signature)
        with pytest.raises(BadInput, match=f"{why}.*nothing was kept"):
            made.write(content)
            made.finish()
        assert left(at) == []
    assert at.services.software.list(ROOT) == ()


def test_versions_are_ordered_by_the_fleets_own_scheme(at: Desk, publisher: Publisher) -> None:
    for version in ("9.6.2", "10.0", "10.0 Update 8", "10.0.0-3367", "12.0.0", "9.10.0"):
        publisher.import_into(at.services, version.encode(), version=version)
    publisher.import_into(at.services, b"any", version="12.2.0", platform="Linux", file="agent.tar.gz")
    publisher.import_into(at.services, b"windows", version="12.2.0", platform="Windows", file="agent.msi")
    find, newest = at.services.software.list, at.services.software.newest
    assert [one.version for one in find(ROOT, platform="Debian_12")] == [
        "12.0.0",
        "10.0 Update 8",
        "10.0.0-3367",
        "10.0",
        "9.10.0",
        "9.6.2",
    ]
    assert [one.platform for one in find(ROOT)][-2:] == ["Linux", "Windows"]
    assert newest(ROOT, "Debian_12", "x86_64").version == "12.0.0"
    assert newest(ROOT, "Debian_12", "x86_64", at_most="10.0 Update 99").version == "10.0 Update 8"
    assert newest(ROOT, "Debian_12", "x86_64", version="10.0 update 8").version == "10.0 Update 8"
    assert newest(ROOT, "Debian_12", "x86_64", version="12.2.0").file == "agent.tar.gz", "one for any Linux"
    assert newest(ROOT, "amzn2", "x86_64").file == "agent.tar.gz"
    assert newest(ROOT, "Windows", "x86_64").file == "agent.msi"
    with pytest.raises(NotFound, match=r"no agent for Windows i386; there is: .*9\.6\.2 for Debian_12"):
        newest(ROOT, "Windows", "i386")
    with pytest.raises(BadInput, match="unknown component version"):
        newest(ROOT, "Debian_12", "x86_64", at_most="newest")


def test_another_content_under_the_same_name_is_a_conflict(at: Desk, publisher: Publisher) -> None:
    first = publisher.import_into(at.services, CONTENT)
    with pytest.raises(Conflict, match="with another content"):
        at.services.software.begin(ROOT, publisher.sign(b"other"))
    assert at.services.software.list(ROOT) == (first,)


def test_two_that_come_at_once_do_not_disturb_each_other(at: Desk, publisher: Publisher) -> None:
    one, two = (at.services.software.begin(ROOT, publisher.sign(CONTENT)) for _ in range(2))
    other = at.services.software.begin(ROOT, publisher.sign(b"other", platform="SuSE_15"))
    rival = at.services.software.begin(ROOT, publisher.sign(b"rival", platform="SuSE_15"))
    for made, content in ((one, CONTENT), (two, CONTENT), (other, b"other"), (rival, b"rival")):
        made.write(content)
    assert one.finish().new
    assert not two.finish().new
    assert other.finish().new
    with pytest.raises(Conflict, match="with another content"):
        rival.finish()
    kept = {view.sha256 for view in at.services.software.list(ROOT)}
    assert set(left(at)) == kept
    assert len(kept) == 2


def test_deleting_one_of_two_names_keeps_the_file(at: Desk, publisher: Publisher) -> None:
    one = publisher.import_into(at.services, CONTENT)
    two = publisher.import_into(at.services, CONTENT, platform="Debian_13")
    assert left(at) == [one.sha256]
    at.services.software.delete(ROOT, one.id)
    assert left(at) == [two.sha256]
    at.services.software.delete(ROOT, two.id)
    assert left(at) == []
    with pytest.raises(NotFound, match="no software package 2"):
        at.services.software.delete(ROOT, two.id)
    assert publisher.import_into(at.services, CONTENT).id == 3, "numbers are never used twice"


def test_a_file_that_vanished_is_said_and_can_come_again(at: Desk, publisher: Publisher) -> None:
    view = publisher.import_into(at.services, CONTENT)
    at.services.software.path(ROOT, view.id).unlink()
    assert at.services.software.list(ROOT) == (replace(view, held=False),)
    assert at.services.software.everything() == ()
    with pytest.raises(NotFound, match="import it again"):
        at.services.software.path(ROOT, view.id)
    assert publisher.import_into(at.services, CONTENT) == view


def test_what_a_crash_left_is_gone_at_the_next_start(at: Desk, publisher: Publisher) -> None:
    view = publisher.import_into(at.services, CONTENT)
    half = at.services.software.begin(ROOT, publisher.sign(b"half", version="12.2.0"))
    half.write(b"ha")
    half._incoming._file.flush()  # type: ignore[union-attr]
    (at.home.path / "software" / "files" / ("0" * 64)).write_bytes(b"no row has it")
    assert at.services.software.tidy() == 2
    assert left(at) == [view.sha256]
    half.abandon()


def test_a_disk_without_room_is_said_before_the_first_byte(at: Desk, publisher: Publisher) -> None:
    service = SoftwareService(at.services.software._core, Depot(at.home.path / "software", reserve=1 << 60))
    with pytest.raises(DiskFull, match=r"must leave .* nothing was kept.*make room"):
        service.begin(ROOT, publisher.sign(CONTENT))
    assert events(at)[-1][0] == 724


def test_a_disk_that_fills_up_in_mid_import_keeps_nothing(tmp_path: Path) -> None:
    """The file system is full while the bytes come; afterwards the same import succeeds."""
    with small_disk(tmp_path) as disk:
        command = [sys.executable, "-m", "tests.unit.manager.services.full_import", str(disk.home)]
        child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=FIXTURES.parents[2]
        )
        assert child.stdin is not None
        assert child.stdout is not None
        with child:
            said = []
            for act in (disk.fill, disk.free, None):
                said.append(child.stdout.readline().strip())
                if act is not None:
                    act(child.pid)
                child.stdin.write("go\n")
                child.stdin.flush()
            assert said == ["half", "refused, left: 0", "imported"]
        assert child.returncode == 0


@pytest.mark.rule("R9")
def test_an_import_that_is_killed_at_any_step_is_whole_or_not_at_all() -> None:
    command = [sys.executable, "-m", "tests.unit.manager.services.kill_import"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=FIXTURES.parents[2])
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 15


def test_a_second_key_needs_the_hand_of_the_first(at: Desk, publisher: Publisher) -> None:
    keys = at.services.release_keys
    other = Publisher(name="next")
    assert [(one.id, one.name, one.number) for one in keys.list(ROOT)] == [(publisher.public.id, "builds", 1)]
    assert keys.trust(ROOT, publisher.pem).number == 1, "the same again changes nothing"
    with pytest.raises(Conflict, match=r"takes? another key only from the hand.*nothing was changed.*endorse"):
        keys.trust(ROOT, other.pem)
    with pytest.raises(BadInput, match=r"nothing was changed\. Give a public key"):
        keys.trust(ROOT, "nonsense")
    text = keys.statement(ROOT)
    assert text is not None
    current = release.read_trust(text)
    both = release.next_trust(current, [publisher.public, other.public], publisher.key)
    keys.trust(ROOT, both.text)
    assert [one.id for one in keys.list(ROOT)] == [publisher.public.id, other.public.id]
    other.import_into(at.services, CONTENT)
    alone = release.next_trust(both, [other.public], other.key)
    keys.trust(ROOT, alone.text)
    assert keys.chain() == (text, both.text, alone.text)
    assert "No longer trusted" in events(at)[-1][1]
    with pytest.raises(BadInput, match="is not trusted here"):
        at.services.software.begin(ROOT, publisher.sign(b"late", version="12.3.0"))
    with pytest.raises(BadInput, match="does not follow"):
        keys.trust(ROOT, both.text)


def test_a_key_that_fell_from_trust_while_the_bytes_came_counts_no_longer(at: Desk, publisher: Publisher) -> None:
    made = at.services.software.begin(ROOT, publisher.sign(CONTENT))
    made.write(CONTENT)
    current = release.read_trust(at.services.release_keys.statement(ROOT) or "")
    at.services.release_keys.trust(ROOT, release.next_trust(current, [Publisher().public], publisher.key).text)
    with pytest.raises(BadInput, match="is not trusted here"):
        made.finish()
    assert left(at) == []
