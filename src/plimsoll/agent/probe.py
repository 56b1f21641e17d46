"""``python -m plimsoll.agent.probe HOME``: does this release reach the manager of that home, with its own TLS?

A real handshake with 4120 that shows the agent's identity, and a request that changes nothing. It prints one JSON
object (`Probed`) and ends with 0 where the manager answered, with 1 where it did not. Any answer counts, 429 and 503
too: a manager that is busy is one that was reached. A release is asked this before it is installed, and the former one
before a new one is left because it is silent.
"""

from __future__ import annotations

import ssl
import subprocess
import sys
from pathlib import Path

import msgspec

from plimsoll import RELEASE
from plimsoll.agent.home import Home, HomeError
from plimsoll.agent.managers import ManagerAddressError, Managers
from plimsoll.messages import HEARTBEAT
from plimsoll.net.client import LinkError

#: Seconds for one manager's answer, and for the whole child.
ANSWER = 20.0
TIMEOUT = 90.0

#: Reasons of `Probed` beside those of `LinkError`.
NO_MANAGER = "no-manager"
NOT_RUN = "not-run"


class Probed(msgspec.Struct, kw_only=True):
    """What came of it. `reason` is for programs, empty where the manager was reached."""

    release: str = ""
    openssl: str = ""
    reached: bool = False
    negotiated: str = ""
    status: int = 0
    manager: str = ""
    reason: str = ""
    message: str = ""


def look(home: Home) -> Probed:
    """Asks the managers of that home one after the other, until one answers. Changes nothing there."""
    found = Probed(release=RELEASE, openssl=ssl.OPENSSL_VERSION)
    try:
        managers = Managers(home, home.load_state())
    except (HomeError, ManagerAddressError) as error:
        found.reason, found.message = "home", str(error)
        return found
    if not managers.known:
        found.reason, found.message = NO_MANAGER, "no manager's address is known here: it visits this computer"
        return found
    for _ in range(managers.count):
        link = managers.link()
        link.timeout = ANSWER
        found.manager = f"{link.host}:{link.port}"
        try:
            # The path takes POST only, so this is answered and changes nothing. It must be asked: where the manager
            # does not like our certificate, TLS 1.3 says so only after the handshake.
            answer = link.request("GET", HEARTBEAT)
        except LinkError as error:
            found.reason, found.message = error.reason, str(error)
            managers.next()
            continue
        finally:
            link.close()
        found.reached, found.reason, found.message = True, "", ""
        found.status, found.negotiated = answer.status, str(link.version or "")
        break
    return found


def ask(interpreter: Path, home: Path) -> Probed:
    """The answer of the release that this interpreter belongs to. Blocks; a child that says nothing is `NOT_RUN`."""
    command = [str(interpreter), "-P", "-m", "plimsoll.agent.probe", str(home)]
    try:
        done = subprocess.run(command, check=False, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Probed(reason=NOT_RUN, message=f"its interpreter could not be run ({type(error).__name__}: {error})")
    try:
        return msgspec.json.decode(done.stdout, type=Probed)
    except msgspec.MsgspecError:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["it said nothing"]
        return Probed(reason=NOT_RUN, message=f"its interpreter ended with status {done.returncode}: {last[0][:300]}")


def main(arguments: list[str]) -> int:
    """The child's entry point."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m plimsoll.agent.probe HOME\n")
        return 2
    found = look(Home(arguments[0]))
    sys.stdout.buffer.write(msgspec.json.encode(found) + b"\n")
    return 0 if found.reached else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
