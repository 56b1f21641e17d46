from plimsoll.testing.clock import FakeClock


def test_time_moves_only_when_told() -> None:
    clock = FakeClock(100.0)
    assert clock() == clock() == 100.0
    assert clock.advance(2.5) == 102.5
    assert clock.advance(-10) == 92.5
    assert clock() == 92.5
