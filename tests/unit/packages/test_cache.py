"""What is slow to make appears whole, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
from packages import cache


def test_a_folder_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="half"), cache.appearing(tmp_path / "made") as fresh:
        (fresh / "one").write_text("1")
        raise ValueError("half")
    assert list(tmp_path.iterdir()) == []
    with cache.appearing(tmp_path / "made") as fresh:
        (fresh / "one").write_text("1")
        assert not (tmp_path / "made").exists()
    assert (tmp_path / "made" / "one").read_text() == "1"


def test_a_digest_is_of_contents_in_their_order_and_of_their_bounds(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("ab")
    assert cache.digest_of([path]) == cache.digest_of(["ab"]) == cache.digest_of([b"ab"])
    assert len({cache.digest_of(parts) for parts in (["a", "b"], ["ab"], ["b", "a"], ["a", "b", ""])}) == 4
