"""A local socket in a folder that lies deep."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from plimsoll.net.local_socket import LONGEST, short_name


@pytest.mark.parametrize("depth", [0, 3])
def test_bind_and_connect_however_long_the_path_is(tmp_path: Path, depth: int) -> None:
    folder = tmp_path.joinpath(*["x" * 60] * depth)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "manager.sock"
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        with short_name(path) as name:
            assert len(name) <= max(LONGEST, len("/proc/self/fd/999999/manager.sock"))
            server.bind(name)
        server.listen()
        with short_name(path) as name:
            client.connect(name)
    assert path.is_socket()


def test_a_folder_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), short_name(tmp_path / ("x" * 100) / "manager.sock"):
        raise AssertionError("not reached")
