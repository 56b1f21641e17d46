"""The command line of `plimsoll scan`."""

from __future__ import annotations

import argparse
import os
from typing import Final

FORMATS: Final = ("table", "nmap", "nmap-xml", "json", "sarif", "csv", "cbom")
_EPILOG: Final = """\
targets: name, name:port, name:443,8443, address, [v6]:port, 10.0.0.0/24, 10.0.0.1-20:4119, smtp://host;
         ports of mail, directories and databases are opened as their protocol asks.
exit codes: 0 done (with --require: it holds and is proved), 1 failed, 2 wrong usage, 3 a requirement does
not hold, or something became open since --diff, 4 not proved, or no endpoint answered in TLS.
More: docs/scan.md."""


def parser() -> argparse.ArgumentParser:
    """The parser, with all its options."""
    made = argparse.ArgumentParser(
        prog="plimsoll scan",
        description="What TLS endpoints really accept, proved by handshake. Silence is never taken for a refusal.",
        epilog=_EPILOG,
        formatter_class=_formatter,
    )
    _targets(made)
    _questions(made.add_argument_group("what to ask"))
    _limits(made.add_argument_group("how gently"))
    _results(made.add_argument_group("what to print"))
    return made


def _formatter(prog: str) -> argparse.HelpFormatter:
    """argparse makes one for each option, and asks for the width by a module that reads archives too."""
    try:
        columns = int(os.environ.get("COLUMNS", "")) or os.get_terminal_size(1).columns
    except (ValueError, OSError):
        columns = 80
    return argparse.RawDescriptionHelpFormatter(prog, width=max(40, columns - 2))


def _targets(made: argparse.ArgumentParser) -> None:
    made.add_argument("targets", nargs="*", metavar="TARGET", help="what to scan; - reads targets from standard input")
    made.add_argument("-f", "--file", action="append", default=[], metavar="FILE", help="targets, one or more a line")
    made.add_argument("--fleet", action="store_true", help="every point of the manager's fleet that listens")
    made.add_argument(
        "--from-manager", action="store_true", help="the manager scans, from where it stands, and keeps the report"
    )
    made.add_argument("--home", metavar="DIR", help="that manager's home; else PLIMSOLL_URL, PLIMSOLL_HOME")
    made.add_argument(
        "--from", dest="source_report", metavar="REPORT.json", help="no scan: read an earlier --format json report"
    )
    made.add_argument("--name", metavar="NAME", help="the server name to ask for (SNI); by default the target's own")
    made.add_argument(
        "--opening", metavar="PROTOCOL", help="what is said before TLS: smtp, imap, postgres, ... or none"
    )


def _questions(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--mode",
        choices=("full", "suites", "sweep"),
        default="full",
        help="full: everything; suites: versions and suites; sweep: versions, preferred suite, certificate",
    )
    group.add_argument("--sweep", dest="mode", action="store_const", const="sweep", help="the same as --mode sweep")
    group.add_argument(
        "--order",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="the server's order of suites, and whether it has one; --no-order is quicker on slow links",
    )
    group.add_argument("--ca", metavar="FILE", help="trust these roots instead of the system's")


def _limits(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--timeout", type=_seconds, default=5.0, metavar="S", help="for a connect and a first byte (5)")
    group.add_argument("--patience", type=_seconds, default=110.0, metavar="S", help="for one endpoint in all (110)")
    group.add_argument(
        "--rate", type=_number, metavar="N", help="connections a second to one endpoint (100; loopback any)"
    )
    group.add_argument("--at-once", type=_count, default=2, metavar="N", help="connections to one endpoint (2)")
    group.add_argument("--per-host", type=_count, default=8, metavar="N", help="connections to one address (8)")
    group.add_argument("--per-network", type=_count, default=32, metavar="N", help="connections to one /24 or /64 (32)")
    group.add_argument("--parallel", type=_count, default=64, metavar="N", help="connections in all (64)")
    group.add_argument("--source", default="", metavar="ADDRESS", help="the local address to ask from")


def _results(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--format", choices=FORMATS, default="table", help="the form of the result (table)")
    group.add_argument("-o", "--output", metavar="FILE", help="write there instead of to standard output")
    group.add_argument(
        "--require",
        action="append",
        default=[],
        metavar="PROFILE",
        help="judge by it, and let the exit code say so (repeatable)",
    )
    group.add_argument("--profile", metavar="NAME", help="no scan: show a profile's rules; list names them all")
    group.add_argument("--diff", metavar="OLD.json", help="tell what changed since an earlier --format json report")
    group.add_argument("--prometheus", metavar="FILE", help="write a textfile for Prometheus too")
    group.add_argument(
        "--colour", choices=("auto", "always", "never"), default="auto", help="colours in a table (auto)"
    )
    group.add_argument(
        "--resume", metavar="JOURNAL", help="note what is done there, and leave out what an earlier run did"
    )
    group.add_argument("--progress", action=argparse.BooleanOptionalAction, help="on standard error (if a terminal)")


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
