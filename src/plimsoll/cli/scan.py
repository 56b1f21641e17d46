"""`plimsoll scan`: what TLS endpoints really accept. Imports no more than the asked form needs: it starts quickly."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from plimsoll.cli._scan import USAGE, StopError

if TYPE_CHECKING:
    from plimsoll.cli._scan import judging
    from plimsoll.cli._session import Session
    from plimsoll.scan.options import Options
    from plimsoll.scan.report import EndpointReport


#: How many new values make a look for garbage worth while.
_GARBAGE = 20_000


def main(arguments: Sequence[str], session: Session | None = None) -> int:
    """Run one command line; returns the exit code. `session` knows the way to the manager, for --fleet."""
    from plimsoll.cli._scan.arguments import parser

    try:
        given = parser().parse_args(arguments)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else USAGE
    given.arguments = list(arguments)
    try:
        with ExitStack() as stack:
            return _run(given, stack, session)
    except StopError as error:
        sys.stderr.write(f"plimsoll scan: {error}\n")
        return error.code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        again = f"; the same command with --resume {given.resume} goes on" if given.resume else ""
        sys.stderr.write(f"plimsoll scan: interrupted{again}\n")
        return 130


def _run(given: argparse.Namespace, stack: ExitStack, session: Session | None) -> int:
    from plimsoll.cli._scan import judging

    if given.profile is not None:
        return judging.show_profile(given.profile)
    judge = judging.Judge(given.require)
    comparison = judging.Comparison.of(given, stack)
    tally = judging.Tally(judge, comparison)
    if given.source_report is not None:
        if given.targets or given.file or given.fleet or given.resume or given.from_manager:
            raise StopError("--from reads a report and scans nothing: it goes without targets and --resume", USAGE)
        return _retell(given, stack, judge, comparison, tally)
    if given.from_manager:
        from plimsoll.cli._scan.by_manager import fetch

        given.source_report = fetch(given, stack, session)
        return _retell(given, stack, judge, comparison, tally)

    from plimsoll.cli._scan import inputs
    from plimsoll.cli._scan.outputs import Result
    from plimsoll.scan.engine import scan_many

    options = _options(given)
    journal = inputs.journal(given, stack)
    targets = inputs.targets(given, stack, journal, session)
    result = Result(given, stack, targets.total, judge, comparison, journal)
    progress = None
    if given.progress or (given.progress is None and targets.total > 1 and sys.stderr.isatty()):
        from plimsoll.cli._scan.progress import ProgressLine

        progress = ProgressLine(targets.total)

    def done(report: EndpointReport) -> None:
        if progress is not None:
            progress.clear()
        result.add(report)
        tally.add(report)
        if journal is not None:
            result.out.flush()
            journal.add(report.target)

    # The modules are not looked through again, and a scan makes many short-lived values between looks worth while.
    gc.freeze()
    gc.set_threshold(_GARBAGE, 20, 20)
    gc.enable()
    try:
        result.begin()
        for report in result.earlier():
            tally.add(report)
        tally.unseen = max(0, len(journal) - tally.count) if journal is not None else 0
        scan_many(targets, options, done, progress, total=targets.total)
        if progress is not None:
            progress.clear()
        result.end()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise StopError(f"the result could not be written: {error.strerror or error}") from error
    return tally.code()


def _retell(
    given: argparse.Namespace,
    stack: ExitStack,
    judge: judging.Judge,
    comparison: judging.Comparison | None,
    tally: judging.Tally,
) -> int:
    """The reports of an earlier scan, judged and written anew."""
    from plimsoll.cli._scan.outputs import Result
    from plimsoll.scan.reports.json_report import ReportError, load

    path = Path(given.source_report)
    if given.output is not None and Path(given.output).resolve() == path.resolve():
        raise StopError("--output would overwrite the report of --from", USAGE)
    try:
        total = sum(1 for _ in load(path))
        result = Result(given, stack, total, judge, comparison, None)
        result.begin()
        for report in load(path):
            result.add(report)
            tally.add(report)
        result.end()
    except ReportError as error:
        raise StopError(str(error), USAGE) from error
    except BrokenPipeError:
        raise
    except OSError as error:
        raise StopError(f"the result could not be written: {error.strerror or error}") from error
    return tally.code()


def _options(given: argparse.Namespace) -> Options:
    from plimsoll.scan.options import FULL, SWEEP, Options

    options = Options(
        mode=SWEEP if given.mode == "sweep" else FULL,
        concurrency=given.at_once,
        per_host=max(given.per_host, given.at_once),
        per_network=max(given.per_network, given.at_once),
        overall=given.parallel,
        rate=given.rate,
        timeout=given.timeout,
        patience=given.patience,
        order=given.order,
        features=given.mode == "full",
        groups=given.mode == "full",
        local_address=given.source,
    )
    if given.ca is None:
        return options
    from dataclasses import replace

    from plimsoll.scan.certificates import TrustError, TrustStore

    try:
        return replace(options, trust=TrustStore.of_file(Path(given.ca)))
    except TrustError as error:
        raise StopError(f"{error}; nothing was scanned", USAGE) from error
