"""The `dsa_control` command, with the reference's syntax: what an administrator or a deployment script says to the
agent of this computer. It works on a running agent, through its local socket, and on a stopped one's home.

Rules of this file: a token is never printed; root acts as the owner of the home (`agent.owner`).
"""

from __future__ import annotations

import http
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from plimsoll.agent.session import Failure
    from plimsoll.messages.token import ActivationToken

DEFAULT_HOME = "/var/opt/plimsoll-agent"

USAGE = """usage: dsa_control -a dsm://HOST:4120/ "token:TOKEN" ["policyid:N" "group:NAME" …]   activate this computer
       dsa_control -m           heartbeat now
       dsa_control -r           reset: forget the activation
       dsa_control -d [DIR]     write a bundle of diagnostics, without secrets
       --home DIR               the agent's home; else PLIMSOLL_AGENT_HOME, else /var/opt/plimsoll-agent

fields of -a, each as NAME:VALUE:
  token         the activation token; "token:-" reads it from standard input, so that it stands in no list of processes
  policy        the policy, by number (also policyid) or name
  group         the computer group, by number (also groupid) or name
  relaygroup    the relay group, by number (also relaygroupid) or name
  displayname   the name to show, instead of the host name
  description   a line for people
  hostname      the host name to report, instead of this computer's
  relay         yes: this computer carries the relay role too
  tenantID, tenantPassword   are taken and not used: there is one tenant

exit codes: 0 done, 1 failed, 2 bad input, 6 the manager refused, 7 the manager was not reached"""

OK, FAILED, BAD, REFUSED, UNREACHED = 0, 1, 2, 6, 7

#: The fields of -a by their name in lower case, and what they set.
FIELDS = {
    "token": "token",
    "policy": "policy",
    "policyid": "policy",
    "group": "group",
    "groupid": "group",
    "relaygroup": "relay_group",
    "relaygroupid": "relay_group",
    "displayname": "display_name",
    "description": "description",
    "hostname": "name",
    "relay": "relay",
    "tenantid": "",
    "tenantpassword": "",
}

_ACTIONS = {"-a": "activate", "-m": "heartbeat", "-r": "reset", "-d": "diagnostics"}
_YES = frozenset({"yes", "on", "true", "1"})
_NO = frozenset({"", "no", "off", "false", "0"})


class UsageError(Exception):
    """The command line is wrong. Nothing was changed."""


@dataclass
class Arguments:
    """One parsed command line."""

    action: str = ""
    manager: str = ""
    fields: dict[str, str] = field(default_factory=dict)
    place: str = ""
    home: str = ""
    help: bool = False


def parse(arguments: Sequence[str]) -> Arguments:
    """Raises UsageError."""
    parsed = Arguments()
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if word in ("-h", "--help"):
            parsed.help = True
        elif word == "--home":
            if not rest:
                raise UsageError("--home needs a folder")
            parsed.home = rest.pop(0)
        elif word in _ACTIONS:
            if parsed.action:
                raise UsageError(f"{word}: one of -a, -m, -r and -d at a time")
            parsed.action = _ACTIONS[word]
        elif word.startswith("-"):
            raise UsageError(f"unknown option {word!r}; known are -a, -m, -r, -d, --home and --help")
        elif parsed.action == "activate" and not parsed.manager:
            parsed.manager = word
        elif parsed.action == "activate":
            _take(parsed.fields, word)
        elif parsed.action == "diagnostics" and not parsed.place:
            parsed.place = word
        else:
            raise UsageError(f"unexpected {_shown(word)!r}")
    return parsed


def _take(fields: dict[str, str], word: str) -> None:
    name, colon, value = word.partition(":")
    if not colon or name.lower() not in FIELDS:
        known = ", ".join(FIELDS)
        raise UsageError(f"{_shown(word)!r} is no field of -a: write NAME:VALUE; names are {known}")
    if key := FIELDS[name.lower()]:
        if key in fields:
            raise UsageError(f"{name} is said twice")
        fields[key] = value


def _shown(word: str) -> str:
    """The word without what may be a secret in it."""
    return "pt1.…" if "pt1." in word else word


class Control:
    """The actions, on one home. Results go to `out`, talk to `err`."""

    def __init__(self, home: Path, out: TextIO, err: TextIO, stdin: TextIO) -> None:
        from plimsoll.agent.home import Home

        self.home = Home(home)
        self._out = out
        self._err = err
        self._stdin = stdin

    def activate(self, parsed: Arguments) -> int:
        from plimsoll.agent import activation
        from plimsoll.agent.errors import AgentError
        from plimsoll.agent.managers import ManagerAddressError, parse_manager
        from plimsoll.messages import Assignment
        from plimsoll.messages.token import ActivationToken, TokenError

        fields = dict(parsed.fields)
        try:
            host, port = parse_manager(parsed.manager)
            token = ActivationToken.parse(self._token(fields.pop("token", "")))
            relay = _yes(fields.get("relay", ""))
        except (ManagerAddressError, TokenError) as error:
            raise UsageError(str(error)) from None
        if self.home.activated:
            return self._activated_already(token)
        assign = Assignment(
            policy=fields.get("policy", ""),
            group=fields.get("group", ""),
            relay_group=fields.get("relay_group", ""),
            description=fields.get("description", ""),
        )
        address = f"[{host}]" if ":" in host else host
        self._line(f"Connecting to dsm://{address}:{port}/")
        try:
            done = activation.activate(
                self.home.path,
                f"dsm://{address}:{port}/",
                str(token),
                relay=relay,
                name=fields.get("name") or None,
                display_name=fields.get("display_name", ""),
                assign=assign,
            )
        except AgentError as error:
            return self._failed(str(error), error.failure)
        self._status(200)
        self._line(f"Activated as {done.computer} ({done.kind.value}, policy {done.policy})")
        return OK

    def heartbeat(self, parsed: Arguments) -> int:
        from plimsoll.agent import control, once
        from plimsoll.agent.home import HomeError
        from plimsoll.agent.managers import ManagerAddressError

        try:
            if not self.home.activated:
                self.home.load_state()
            told = control.ask(self.home, control.HEARTBEAT)
            if told is None:
                told = once.beat(self.home)
        except (HomeError, control.ControlError, ManagerAddressError) as error:
            return self._failed(str(error), None)
        if told.ok:
            self._status(told.status)
            return OK
        if told.status:
            self._status(told.status)
        self._say(told.text)
        return _code_of(told.reason, told.status)

    def reset(self, parsed: Arguments) -> int:
        from plimsoll.agent import control
        from plimsoll.agent.home import HomeError
        from plimsoll.agent.reset import reset

        try:
            computer = reset(self.home)
        except (HomeError, control.ControlError) as error:
            return self._failed(str(error), None)
        if computer:
            self._line(f"Reset: this computer was {computer}, and is activated no longer")
            self._say("its manager still lists it: delete it there, or activate this computer again")
        else:
            self._line("Reset: this computer was not activated")
        return OK

    def diagnose(self, fd: int, path: Path) -> int:
        from plimsoll.agent import diagnostics

        with os.fdopen(fd, "wb") as out:
            written = diagnostics.write(self.home, out, time.time())
        self._line(str(path))
        self._say(f"{len(written)} files, without keys and tokens; look through them before you give them away")
        return OK

    def _token(self, given: str) -> str:
        if given == "-":
            return self._stdin.readline()
        if not given:
            raise UsageError('an activation token is needed: "token:…". Make one on the manager: plimsoll token create')
        return given

    def _activated_already(self, token: ActivationToken) -> int:
        """A deployment script that runs twice uses up no second token, and makes no second computer."""
        from plimsoll.agent.home import HomeError
        from plimsoll.net.identity import certificates_in, public_key_hash

        try:
            computer = self.home.load_state().computer
            ours = [public_key_hash(one) for one in certificates_in(self.home.ca.read_text())]
        except (HomeError, OSError, ValueError) as error:
            return self._failed(str(error), None)
        if token.ca_hash in ours:
            self._line(f"Activated already, as {computer}; nothing was changed")
            return OK
        return self._failed(
            f"this computer is activated already, as {computer}, by another installation; nothing was changed."
            " To move it, forget that first: dsa_control -r",
            None,
        )

    def _failed(self, text: str, failure: Failure | None) -> int:
        status = failure.status if failure is not None else 0
        if status:
            self._status(status)
        self._say(text)
        return FAILED if failure is None else _code_of(failure.reason, status)

    def _status(self, status: int) -> None:
        try:
            phrase = http.HTTPStatus(status).phrase
        except ValueError:
            phrase = "unknown"
        self._line(f"HTTP Status: {status} - {phrase}")

    def _line(self, text: str) -> None:
        self._out.write(f"{text}\n")
        self._out.flush()

    def _say(self, text: str) -> None:
        self._err.write(f"dsa_control: {text}\n")
        self._err.flush()


def _yes(value: str) -> bool:
    if value.lower() in _YES:
        return True
    if value.lower() in _NO:
        return False
    raise UsageError(f"relay is yes or no, not {value!r}")


def _code_of(reason: str, status: int) -> int:
    """A manager that is busy, or not there, is worth another try; one that says no is not."""
    if status in (429, 503) or reason in ("unreachable", "timeout"):
        return UNREACHED
    return REFUSED if status or reason in ("refused-by-floor", "certificate", "certificate-ended") else FAILED


def main(
    arguments: Sequence[str],
    env: Mapping[str, str] | None = None,
    out: TextIO | None = None,
    err: TextIO | None = None,
    stdin: TextIO | None = None,
) -> int:
    """Runs one command line; returns the exit code."""
    out, err, stdin = out or sys.stdout, err or sys.stderr, stdin or sys.stdin
    env = os.environ if env is None else env
    try:
        parsed = parse(arguments)
        if parsed.help:
            out.write(USAGE + "\n")
            return OK
        if not parsed.action:
            err.write(USAGE + "\n")
            return BAD
        home = Path(parsed.home or env.get("PLIMSOLL_AGENT_HOME") or DEFAULT_HOME).absolute()
        return _run(parsed, home, Control(home, out, err, stdin), err)
    except UsageError as error:
        err.write(f"dsa_control: {error}\ndsa_control: see dsa_control --help; nothing was changed\n")
        return BAD
    except OSError as error:
        err.write(f"dsa_control: {error}\n")
        return FAILED
    except KeyboardInterrupt:
        return 130


def _run(parsed: Arguments, home: Path, control: Control, err: TextIO) -> int:
    from plimsoll.agent.owner import as_owner

    if parsed.action == "activate" and not parsed.manager:
        raise UsageError("-a needs the manager's address: dsm://HOST:4120/")
    if parsed.action != "diagnostics":
        actions = {"activate": control.activate, "heartbeat": control.heartbeat, "reset": control.reset}
        return as_owner(home, lambda: _caught(actions[parsed.action], parsed, err))
    from plimsoll.agent.diagnostics import name_of

    path = Path(parsed.place or _folder()).absolute() / name_of(time.time())
    # Opened as who we are, for its owner only; gathered as the owner of the home.
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        return as_owner(home, lambda: control.diagnose(fd, path))
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _folder() -> str:
    """Where a bundle goes: here, or, where we may not write (a packaged agent's user in /), among temporary files."""
    return "." if os.access(".", os.W_OK) else tempfile.gettempdir()


def _caught(action: Callable[[Arguments], int], parsed: Arguments, err: TextIO) -> int:
    """In a child, what is wrong with the command line must be said there."""
    try:
        return action(parsed)
    except UsageError as error:
        err.write(f"dsa_control: {error}\ndsa_control: see dsa_control --help; nothing was changed\n")
        return BAD


def run() -> None:
    """The entry point of the `dsa_control` script."""
    sys.exit(main(sys.argv[1:]))


if __name__ == "__main__":
    run()
