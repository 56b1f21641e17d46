"""``python -m packages``: makes the packages of agent and manager in dist/; prints their paths."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from packages import cache, pack
from packages.cache import PackagesError
from packages.make import FORMS, KINDS, make
from plimsoll import RELEASE


def main(arguments: list[str]) -> int:
    """0 done, 1 failed, 2 for a wrong call."""
    parser = argparse.ArgumentParser(prog="python -m packages", description="Makes .deb, .rpm and archives.")
    parser.add_argument("kinds", nargs="*", metavar="KIND", help="agent or manager; else both")
    parser.add_argument("--out", type=Path, default=pack.REPOSITORY / "dist", metavar="DIR", help="where to (dist)")
    parser.add_argument("--release", default=RELEASE, help="another number than this tree's, to try upgrades")
    parser.add_argument("--form", action="append", choices=FORMS["agent"], help="these alone; repeatable")
    parser.add_argument("--refresh", action="store_true", help="look for newer sources of interpreter and OpenSSL")
    given = parser.parse_args(arguments)
    if unknown := [kind for kind in given.kinds if kind not in KINDS]:
        parser.error(f"{unknown[0]!r} is no kind of package: there are {', '.join(KINDS)}")
    try:
        for kind in given.kinds or KINDS:
            made = make(kind, given.out, given.release, forms=given.form or (), refresh=given.refresh)
            for path in made.values():
                sys.stdout.write(f"{path}\n")
    except PackagesError as error:
        cache.say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
