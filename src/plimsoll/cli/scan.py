"""`plimsoll scan`: what TLS endpoints really accept. Imports no more than the asked form needs: it starts quickly."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

if TYPE_CHECKING:
    from plimsoll.scan.engine import Progress
    from plimsoll.scan.options import Options
    from plimsoll.scan.report import EndpointReport
    from plimsoll.scan.reports import Writer
    from plimsoll.scan.resume import Journal
    from plimsoll.scan.targets import Source, TargetList

FORMATS: Final = ("table", "json")
_USAGE: Final = 2
_NOT_PROVED: Final = 4
_EPILOG: Final = """\
targets: name, name:port, name:443,8443, address, [v6]:port, 10.0.0.0/24, 10.0.0.1-20:4119, smtp://host;
         ports of mail, directories and databases are opened as their protocol asks.
exit codes: 0 done (with --require: it holds and is proved), 1 failed, 2 wrong usage, 3 a requirement does
not hold, 4 it is not proved."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="plimsoll scan",
        description="What TLS endpoints really accept, proved by handshake. Silence is never taken for a refusal.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("targets", nargs="*", metavar="TARGET", help="what to scan; - reads targets from standard input")
    made.add_argument("-f", "--file", action="append", default=[], metavar="FILE", help="targets, one or more a line")
    made.add_argument("--name", metavar="NAME", help="the server name to ask for (SNI); by default the target's own")
    made.add_argument(
        "--opening", metavar="PROTOCOL", help="what is said before TLS: smtp, imap, postgres, ... or none"
    )

    what = made.add_argument_group("what to ask")
    what.add_argument(
        "--mode",
        choices=("full", "suites", "sweep"),
        default="full",
        help="full: everything; suites: versions, suites, groups; sweep: versions, preferred suite, certificate",
    )
    what.add_argument("--sweep", dest="mode", action="store_const", const="sweep", help="the same as --mode sweep")
    what.add_argument("--ca", metavar="FILE", help="trust these roots instead of the system's")

    how = made.add_argument_group("how gently")
    how.add_argument("--timeout", type=_seconds, default=5.0, metavar="S", help="for a connect and a first byte (5)")
    how.add_argument("--patience", type=_seconds, default=110.0, metavar="S", help="for one endpoint in all (110)")
    how.add_argument(
        "--rate", type=_number, metavar="N", help="connections a second to one endpoint (100; loopback any)"
    )
    how.add_argument("--at-once", type=_count, default=2, metavar="N", help="connections to one endpoint (2)")
    how.add_argument("--per-host", type=_count, default=8, metavar="N", help="connections to one address (8)")
    how.add_argument("--per-network", type=_count, default=32, metavar="N", help="connections to one /24 or /64 (32)")
    how.add_argument("--parallel", type=_count, default=64, metavar="N", help="connections in all (64)")
    how.add_argument("--source", default="", metavar="ADDRESS", help="the local address to ask from")

    out = made.add_argument_group("what to print")
    out.add_argument("--format", choices=FORMATS, default="table", help="the form of the result (table)")
    out.add_argument("-o", "--output", metavar="FILE", help="write there instead of to standard output")
    out.add_argument("--colour", choices=("auto", "always", "never"), default="auto", help="colours in a table (auto)")
    out.add_argument(
        "--resume", metavar="JOURNAL", help="note what is done there, and leave out what an earlier run did"
    )
    out.add_argument("--progress", action=argparse.BooleanOptionalAction, help="on standard error (if a terminal)")
    return made


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value <= 3600:
        raise argparse.ArgumentTypeError("seconds between 0 and 3600")
    return value


def _number(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1e6:
        raise argparse.ArgumentTypeError("a number from 0 (no limit) to 1000000")
    return value


def _count(text: str) -> int:
    value = int(text)
    if not 0 < value <= 100_000:
        raise argparse.ArgumentTypeError("a number from 1 to 100000")
    return value


class _FailedError(Exception):
    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


def main(arguments: Sequence[str]) -> int:
    """Run one command line; returns the exit code."""
    try:
        given = parser().parse_args(arguments)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else _USAGE
    try:
        with ExitStack() as stack:
            return _scan(given, stack)
    except _FailedError as error:
        sys.stderr.write(f"plimsoll scan: {error}\n")
        return error.code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        again = f"; the same command with --resume {given.resume} goes on" if given.resume else ""
        sys.stderr.write(f"plimsoll scan: interrupted{again}\n")
        return 130


def _scan(given: argparse.Namespace, stack: ExitStack) -> int:
    journal = _journal(given, stack)
    targets = _targets(given, stack, journal)
    out = _output(given, stack)
    tally = _Tally()
    writer = _writer(given, out, targets.total)
    progress = _Progress(targets.total) if _wants_progress(given, targets.total) else None

    def done(report: EndpointReport) -> None:
        if progress is not None:
            progress.clear()
        writer.add(report)
        tally.add(report)
        if journal is not None:
            out.flush()
            journal.add(report.target)

    from plimsoll.scan.engine import scan_many

    try:
        writer.begin()
        scan_many(targets, _options(given), done, progress, total=targets.total)
        if progress is not None:
            progress.clear()
        writer.end()
        out.flush()
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        raise _FailedError(f"the result could not be written: {error.strerror or error}") from error
    return tally.code()


class _Tally:
    """What the exit code is made of: without a requirement it says that answers came, or that there were none."""

    def __init__(self) -> None:
        self._code = 0

    def add(self, report: EndpointReport) -> None:
        pass

    def code(self) -> int:
        return self._code


def _journal(given: argparse.Namespace, stack: ExitStack) -> Journal | None:
    if given.resume is None:
        return None
    from plimsoll.scan.resume import Journal, JournalError

    try:
        return stack.enter_context(Journal(Path(given.resume)))
    except JournalError as error:
        raise _FailedError(str(error), _USAGE) from error


def _targets(given: argparse.Namespace, stack: ExitStack, journal: Journal | None) -> TargetList:
    from plimsoll.scan.targets import TargetError, TargetList

    words = [word for word in given.targets if word != "-"]
    sources: list[Source] = [("", lambda: words)]
    if "-" in given.targets:
        sources.append(("standard input", _spooled(stack)))
    sources += [(path, _lines_of(path)) for path in given.file]
    if len(sources) == 1 and not words:
        raise _FailedError("say what to scan, e.g. plimsoll scan example.org:443; see --help", _USAGE)
    opening = None if given.opening is None else ("" if given.opening == "none" else given.opening)
    if opening:
        _check_opening(opening)
    try:
        return TargetList(
            sources, server_name=given.name, opening=opening, skip=None if journal is None else journal.done
        )
    except TargetError as error:
        raise _FailedError(f"{error}; nothing was scanned", _USAGE) from error
    except (OSError, UnicodeDecodeError) as error:
        raise _FailedError(f"{error}; nothing was scanned", _USAGE) from error


def _check_opening(name: str) -> None:
    from plimsoll.scan.targets import OPENING_OF_PORT

    known = sorted(set(OPENING_OF_PORT.values()))
    if name not in known:
        raise _FailedError(f"the opening {name!r} is not known; known are none, {', '.join(known)}", _USAGE)


def _lines_of(path: str) -> Callable[[], Iterable[str]]:
    def lines() -> Iterable[str]:
        with Path(path).open(encoding="utf-8") as file:
            yield from file

    return lines


def _spooled(stack: ExitStack) -> Callable[[], Iterable[str]]:
    """Standard input, kept so that it can be read twice: in memory while it is short."""
    import tempfile

    spool = stack.enter_context(tempfile.SpooledTemporaryFile(1 << 20, mode="w+", encoding="utf-8"))  # noqa: SIM115
    for line in sys.stdin:
        spool.write(line)

    def lines() -> Iterable[str]:
        spool.seek(0)
        return spool

    return lines


def _output(given: argparse.Namespace, stack: ExitStack) -> IO[str]:
    if given.output is None:
        return sys.stdout
    try:
        return stack.enter_context(Path(given.output).open("w", encoding="utf-8"))
    except OSError as error:
        raise _FailedError(
            f"{given.output} cannot be written: {error.strerror}; nothing was scanned", _USAGE
        ) from error


def _writer(given: argparse.Namespace, out: IO[str], total: int) -> Writer:
    if given.format == "json":
        from plimsoll.scan.reports.json_report import JsonWriter

        return JsonWriter(out)
    from plimsoll.scan.reports.table import TableWriter

    colour = given.colour == "always" or (given.colour == "auto" and out.isatty() and not os.environ.get("NO_COLOR"))
    return TableWriter(out, pages=total <= 3 and given.mode != "sweep", colour=colour)


def _options(given: argparse.Namespace) -> Options:
    from plimsoll.scan.options import FULL, SWEEP, Options

    return Options(
        mode=SWEEP if given.mode == "sweep" else FULL,
        concurrency=given.at_once,
        per_host=max(given.per_host, given.at_once),
        per_network=max(given.per_network, given.at_once),
        overall=given.parallel,
        rate=given.rate,
        timeout=given.timeout,
        patience=given.patience,
        features=given.mode == "full",
        local_address=given.source,
    )


def _wants_progress(given: argparse.Namespace, total: int) -> bool:
    if given.progress is not None:
        return bool(given.progress)
    return total > 1 and sys.stderr.isatty()


class _Progress:
    """One line on standard error: how many are done, and about how long it will take."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._shown = False

    def __call__(self, progress: Progress) -> None:
        left = progress.time_left(time.monotonic())
        rest = "" if left is None else f", about {_span(left)} left"
        sys.stderr.write(f"\r\x1b[K{progress.done} of {self._total} endpoints, {progress.active} under way{rest}")
        sys.stderr.flush()
        self._shown = True

    def clear(self) -> None:
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            self._shown = False


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
