"""Pins of wheels, and what of a wheel is carried."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from packages import wheels
from packages.cache import PackagesError

PINS = """\
alpha==1.0 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
    # via -r runtime.in
beta-two[extra]==2.0 ; python_version < "4" \\
    --hash=sha256:cc
"""


def test_the_pins_of_some_packages_are_taken_with_all_their_digests() -> None:
    assert wheels.pins(PINS, ["alpha"]) == "alpha==1.0 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\n"
    assert wheels.pins(PINS).count("==") == 2
    assert "sha256:cc" in wheels.pins(PINS, ["beta-two"])


def test_a_package_without_a_pin_is_an_error() -> None:
    with pytest.raises(PackagesError, match="no pin for gamma"):
        wheels.pins(PINS, ["alpha", "gamma"])


def test_everything_that_agents_carry_is_pinned() -> None:
    assert wheels.pins(wheels.RUNTIME.read_text(), wheels.AGENT).count("==") == len(wheels.AGENT)


def test_stubs_tests_and_sources_in_c_are_left_out(tmp_path: Path) -> None:
    wheel = tmp_path / "thing-1-py3-none-any.whl"
    kept = ["thing/__init__.py", "thing/testimony.py", "thing-1.dist-info/METADATA", "thing/_fast.abi3.so"]
    with zipfile.ZipFile(wheel, "w") as archive:
        for name in [
            *kept,
            "thing/a.pyi",
            "thing/tests/x.py",
            "thing/_fast.c",
            "thing-1.dist-info/RECORD",
            "thing/py.typed",
        ]:
            archive.writestr(name, "x")
    wheels.unpack([wheel], tmp_path / "site")
    found = sorted(
        str(path.relative_to(tmp_path / "site")) for path in (tmp_path / "site").rglob("*") if path.is_file()
    )
    assert found == sorted(kept)
