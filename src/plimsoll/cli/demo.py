"""plimsoll demo: a small real fleet goes from early TLS allowed to TLS 1.2 enforced and back."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from plimsoll.cli._errors import Code, CommandError
from plimsoll.cli._output import Output
from plimsoll.cli._session import Json, session

if TYPE_CHECKING:
    from plimsoll.cli._demo.stage import Stage


def command(
    context: typer.Context,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the fleet running at the end, until Ctrl-C.")] = False,
    fleet: Annotated[
        bool, typer.Option("--fleet", help="Only the fleet, before any raise, until Ctrl-C: for docs/tutorial.md.")
    ] = False,
    ports: Annotated[str, typer.Option(help="free or standard (4118, 4119, 4120, 4122).")] = "free",
    as_json: Json = False,
) -> int:
    """A small real fleet on this computer, from early TLS to TLS 1.2 and back; exit code 0 if every claim was seen."""
    import tempfile
    from pathlib import Path

    from plimsoll.cli._demo.cast import cast
    from plimsoll.cli._demo.processes import Crew, DemoError
    from plimsoll.cli._demo.stage import Stage
    from plimsoll.cli._demo.story import BEGINNING, STEPS, Story
    from plimsoll.cli._demo.telling import Teller

    output = session(context).output
    if ports not in ("free", "standard"):
        raise CommandError(f"--ports is free or standard, not {ports!r}", Code.USAGE)
    teller = Teller(output, as_json, BEGINNING if fleet else STEPS)
    with tempfile.TemporaryDirectory(prefix="plimsoll-demo-") as folder, _ends_on_sigterm():
        crew = Crew(Path(folder), {"PLIMSOLL_HOME": str(Path(folder) / "manager")})
        stage = Stage(Path(folder), cast(ports == "standard"), crew)
        try:
            if fleet:
                Story(stage, teller).begin(programs=True)
            else:
                Story(stage, teller).play()
            teller.end()
            if as_json:
                output.json(teller.report())
            if keep or fleet:
                _keep(output, stage)
        except (DemoError, CommandError) as error:
            _failed(output, crew.culprit() or error)
            return Code.FAILED
        finally:
            stage.close()
            crew.close()
    return Code.OK if teller.proved else Code.NOT_PROVED


@contextlib.contextmanager
def _ends_on_sigterm() -> Iterator[None]:
    """SIGTERM ends the demonstration as Ctrl-C does, so that no process stays behind."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _failed(output: Output, error: Exception) -> None:
    output.say(str(error))
    for line in getattr(error, "log", ()):
        output.detail(line)


def _keep(output: Output, stage: Stage) -> None:
    """Says how to reach the fleet, and waits for Ctrl-C."""
    import time

    from plimsoll.cli._demo.cast import MANAGER_ADDRESS

    user, password = stage.console_user
    output.say("the fleet goes on until Ctrl-C. Its console, whose certificate is the fleet's own CA's:")
    output.detail(f"https://{MANAGER_ADDRESS}:{stage.cast.gui_port}/ as {user} with the password {password}")
    output.say("or try in another terminal:")
    output.detail(f"export PLIMSOLL_HOME={stage.home}")
    output.detail("plimsoll computers list; plimsoll floor show; plimsoll picture; plimsoll sightings")
    output.detail("dsm_c -action settlsprotocol -MinimumTLSProtocol TLSv1.2")
    try:
        while True:
            stage.crew.check()
            time.sleep(1.0)
    except KeyboardInterrupt:
        output.say("stopping")
