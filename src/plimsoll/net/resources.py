"""The process's own limits."""

from __future__ import annotations

import resource


def raise_file_limit() -> int:
    """Raise the soft limit of open files to the hard one and return it: every waiting peer holds a file.

    A service manager's usual soft limit of 1,024 would stop a manager at a thousand peers.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError):
            # Some kernels cap below "unlimited"; the soft limit stays as it was, which is a working state.
            return soft
    return hard
