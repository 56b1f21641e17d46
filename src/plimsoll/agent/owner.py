"""Whose home it is: root works on it as its owner does, so that the agent's service can read what was written."""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Callable
from pathlib import Path


def as_owner(home: Path, work: Callable[[], int]) -> int:
    """Runs the work as the user that the home belongs to, in a child process where that is not us; its exit code.

    A child gives root away for good: nothing that it starts can take it back.
    """
    try:
        owner = home.stat()
    except FileNotFoundError:
        return work()
    if os.geteuid() != 0 or owner.st_uid == 0:
        return work()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setgroups([])
            os.setgid(owner.st_gid)
            os.setuid(owner.st_uid)
            os.environ["HOME"] = _folder_of(owner.st_uid)
            code = work()
            sys.stdout.flush()
        except BaseException as error:  # noqa: BLE001 - the child must never run on as its parent
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
        finally:
            sys.stderr.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _folder_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_dir
    except KeyError:
        return "/"
