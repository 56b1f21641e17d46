"""What is concluded from each report: verdicts of the required profiles, changes since before, the exit code."""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from plimsoll.cli._scan import DONE, NOT_HELD, NOT_PROVED, USAGE, StopError
from plimsoll.scan.report import EndpointReport, State

if TYPE_CHECKING:
    from plimsoll.scan.profiles import Profile, ProfileVerdict
    from plimsoll.scan.reports.diff import Difference
    from plimsoll.scan.reports.json_report import Archive


class Judge:
    """The required profiles' verdicts; a report that is asked about again is judged once."""

    def __init__(self, names: list[str]) -> None:
        self._profiles: list[Profile] = []
        self._last: tuple[EndpointReport | None, tuple[ProfileVerdict, ...]] = (None, ())
        if names:
            from plimsoll.scan.profiles import ProfileError, load

            try:
                self._profiles = [load(name) for name in dict.fromkeys(names)]
            except ProfileError as error:
                raise StopError(f"{error}; nothing was scanned", USAGE) from error

    def __bool__(self) -> bool:
        return bool(self._profiles)

    def __call__(self, report: EndpointReport) -> tuple[ProfileVerdict, ...]:
        if not self._profiles:
            return ()
        if self._last[0] is not report:
            from plimsoll.scan.profiles import judge

            self._last = (report, tuple(judge(report, profile) for profile in self._profiles))
        return self._last[1]


class Comparison:
    """What changed since an earlier scan's document; a report that is asked about again is compared once."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self._last: tuple[EndpointReport | None, Difference | None] = (None, None)

    @classmethod
    def of(cls, given: argparse.Namespace, stack: ExitStack) -> Comparison | None:
        if given.diff is None:
            return None
        if given.output is not None and Path(given.output).resolve() == Path(given.diff).resolve():
            raise StopError("--output would overwrite the report of --diff; nothing was scanned", USAGE)
        from plimsoll.scan.reports.json_report import Archive, ReportError

        try:
            return cls(stack.enter_context(Archive(Path(given.diff))))
        except ReportError as error:
            raise StopError(f"{error}; nothing was scanned", USAGE) from error

    def __call__(self, report: EndpointReport) -> Difference:
        from plimsoll.scan.reports.diff import compare

        seen, difference = self._last
        if seen is not report or difference is None:
            difference = compare(self.archive.find(report.target), report)
            self._last = (report, difference)
        return difference


class Tally:
    """What the exit code is made of: the worst that was seen."""

    def __init__(self, judge: Judge, comparison: Comparison | None) -> None:
        self._judge = judge
        self._comparison = comparison
        self._codes: set[int] = set()
        self._spoken = False
        self.count = 0
        #: How many endpoints an earlier run did, of which this one knows nothing more.
        self.unseen = 0

    def add(self, report: EndpointReport) -> None:
        self.count += 1
        self._spoken = self._spoken or report.state in (State.COMPLETE, State.INCOMPLETE)
        if self._judge:
            from plimsoll.scan.profiles import exit_code

            self._codes.add(exit_code(self._judge(report)))
        if self._comparison is not None:
            from plimsoll.scan.reports import diff

            self._codes.add(diff.exit_code(change.kind for change in self._comparison(report).changes))

    def code(self) -> int:
        """A failure outweighs what is open, and what is open outweighs the rest; of nothing, nothing is proved."""
        if not self._judge and self._comparison is None:
            return DONE if self._spoken or self.unseen or not self.count else NOT_PROVED
        if NOT_HELD in self._codes:
            return NOT_HELD
        if self.unseen:
            sys.stderr.write(
                f"plimsoll scan: {self.unseen} endpoints of the interrupted run were not judged again: nothing is "
                "proved of them; with --format json and --output they are\n"
            )
            return NOT_PROVED
        return DONE if self._codes == {DONE} else NOT_PROVED


def show_profile(name: str) -> int:
    """One profile's rules, or ("list") all profiles."""
    from plimsoll.scan import profiles

    if name == "list":
        for one in profiles.NAMES:
            sys.stdout.write(f"{one:22}  {profiles.load(one).title}\n")
        return DONE
    try:
        profile = profiles.load(name)
    except profiles.ProfileError as error:
        raise StopError(str(error), USAGE) from error
    date = f"; {profile.date}" if profile.date else ""
    sys.stdout.write(f"{profile.name}: {profile.title}\n{profile.source}{date}\n")
    if profile.note:
        sys.stdout.write(f"{profile.note}\n")
    for rule in profile.rules:
        sys.stdout.write(f"  {rule.id}: {rule.sentence} [{rule.source}]\n")
    return DONE
