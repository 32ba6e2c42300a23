"""The switches for what goes wrong."""

from sandbox.faults import Faults, applies


def test_a_fault_strikes_as_often_as_it_was_told_and_only_there() -> None:
    faults = Faults()
    faults.add("alipay", "query", "slow", 2, 1)
    assert faults.take("wechat", "query") == {}
    assert faults.take("alipay", "close") == {}
    assert [list(faults.take("alipay", "query")) for _ in range(3)] == [["slow"], ["slow"], []]


def test_a_fault_for_ever_stays_until_it_is_cleared() -> None:
    faults = Faults()
    faults.add("*", "*", "silent", -1, 0)
    assert all("silent" in faults.take("wechat", "native") for _ in range(5))
    faults.clear()
    assert faults.take("wechat", "native") == {}


def test_a_fault_of_everything_strikes_only_where_such_a_thing_can_happen() -> None:
    faults = Faults()
    faults.add("wechat", "*", "signature_probe", 1, 0)
    assert faults.take("wechat", "query") == {}
    assert "signature_probe" in faults.take("wechat", "notice")


def test_two_faults_strike_one_call_together() -> None:
    faults = Faults()
    faults.add("alipay", "query", "slow", 1, 1)
    faults.add("alipay", "query", "wrong_amount", 1, 0)
    assert set(faults.take("alipay", "query")) == {"slow", "wrong_amount"}


def test_a_late_success_needs_a_close() -> None:
    assert applies("late_success", "close")
    assert not applies("late_success", "query")
    assert not applies("torn", "notice")
