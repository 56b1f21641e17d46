"""Every reader, with mutated real inputs: only its documented error leaves it. `make fuzz` looks by coverage."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from .readers import READERS, seeds
from .test_hello_fuzz import fuzzed, mutations


@pytest.mark.parametrize("name", READERS)
def test_a_reader_lets_no_other_error_out(name: str) -> None:
    read = READERS[name]
    for seed in seeds(name):
        read(seed)

    @fuzzed
    @given(mutations(seeds(name)) | st.binary(max_size=300))
    def mutated(data: bytes) -> None:
        read(data)

    mutated()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    from tests.support.front import make_certificates

    folder: Path = make_certificates(tmp_path_factory.mktemp("certificates"))
    return ssl.PEM_cert_to_DER_cert((folder / "ec.pem").read_text())


def test_a_mutated_certificate(certificate: bytes) -> None:
    @fuzzed
    @given(mutations([certificate]))
    def mutated(data: bytes) -> None:
        READERS["certificate"](data)

    mutated()
