"""Which account the next attempt goes through."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from domain.channels import Access, Channel, ChannelAccount, Credential, FundMode, Method, Mode
from domain.routing import (
    MOST_REFUSALS,
    PAUSES,
    TOLERATED,
    TRIAL,
    WINDOW,
    Condition,
    Health,
    Serving,
    Trouble,
    routes,
)

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
QR = Method.ALIPAY_QR
BOTH = frozenset(FundMode)
CREDENTIAL = Credential(id="crd", channel=Channel.ALIPAY, mode=Mode.TEST, app_id="app")
FRESH = Health(account_id="a", method=QR, since=NOW)


def serving(
    id: str, *health: Health, own: bool = False, methods: frozenset[Method] = frozenset({QR}), priority: int = 0
) -> Serving:
    account = ChannelAccount(
        id=id,
        channel=Channel.ALIPAY,
        mode=Mode.TEST,
        credential_id="crd",
        payee=id,
        methods=methods,
        merchant_id="mch" if own else None,
        priority=priority,
    )
    return Serving(Access(account, CREDENTIAL), health)


def ids(ways: object) -> list[str]:
    assert isinstance(ways, list)
    return [way.account.id for way in ways]


def paused(id: str, until: timedelta) -> Health:
    return Health(account_id=id, method=QR, since=NOW, failures=1, pauses=1, paused_until=NOW + until)


@st.composite
def many(draw: st.DrawFn) -> list[Serving]:
    made = []
    for n in range(draw(st.integers(0, 6))):
        name = f"a{n}"
        until = draw(st.one_of(st.none(), st.integers(-60, 60)))
        health = () if until is None else (paused(name, timedelta(seconds=until)),)
        methods = draw(st.sampled_from([frozenset({QR}), frozenset({Method.ALIPAY_APP}), frozenset(Method)]))
        made.append(serving(name, *health, own=draw(st.booleans()), methods=methods))
    return made


@given(
    many(), st.sets(st.sampled_from(list(FundMode))), st.lists(st.sampled_from([f"a{n}" for n in range(6)]), max_size=7)
)
def test_it_goes_where_the_method_is_and_the_money_may_go_and_nowhere_else(
    accounts: list[Serving], modes: set[FundMode], refused: list[str]
) -> None:
    ways = routes(accounts, QR, now=NOW, fund_modes=modes, refused_by=refused)
    able = [each for each in accounts if QR in each.account.methods and each.account.fund_mode in modes]
    expected = [] if len(refused) >= MOST_REFUSALS else able
    assert sorted(ids(ways)) == sorted(ids(expected)), "health and refusals order, and never leave out"


@given(many(), st.lists(st.sampled_from([f"a{n}" for n in range(6)]), max_size=4))
def test_those_that_refused_come_last_then_the_paused_and_else_the_given_order_stands(
    accounts: list[Serving], refused: list[str]
) -> None:
    ways = routes(accounts, QR, now=NOW, fund_modes=BOTH, refused_by=refused)

    def rank(way: Serving) -> tuple[bool, bool, int]:
        given_ = accounts.index(way)
        return way.account.id in refused, way.condition(QR, NOW) is Condition.PAUSED, given_

    assert [rank(way) for way in ways] == sorted(rank(way) for way in ways)


def test_a_refusal_pauses_an_account_at_once_and_an_outage_only_when_it_goes_on() -> None:
    assert FRESH.failed(Trouble.REFUSED, "NO_AUTH", NOW).at(NOW) is Condition.PAUSED
    health = FRESH
    for n in range(TOLERATED):
        assert health.at(NOW) is Condition.WELL, n
        health = health.failed(Trouble.OUTAGE, "down", NOW)
    assert health.at(NOW) is Condition.PAUSED


def test_failures_that_are_far_apart_do_not_add_up() -> None:
    health = FRESH
    for n in range(5 * TOLERATED):
        health = health.failed(Trouble.OUTAGE, "down", NOW + n * WINDOW)
    assert health.at(NOW + 5 * TOLERATED * WINDOW) is Condition.WELL
    assert health.failures == 1


def test_a_pause_ends_by_itself_in_a_trial_and_a_failed_trial_pauses_longer_each_time() -> None:
    health, now, pauses = FRESH.failed(Trouble.REFUSED, "no", NOW), NOW, []
    for _ in range(len(PAUSES) + 2):
        assert health.paused_until is not None
        pauses.append(health.paused_until - now)
        assert health.at(health.paused_until - timedelta(milliseconds=1)) is Condition.PAUSED
        now = health.paused_until
        assert health.at(now) is Condition.TRIAL
        health = health.failed(Trouble.OUTAGE, "still down", now)
    assert pauses == [*PAUSES, PAUSES[-1], PAUSES[-1]]


def test_while_somebody_tries_an_account_others_leave_it_alone_but_not_for_ever() -> None:
    tried = paused("a", timedelta(0)).tried(NOW)
    assert tried.at(NOW) is Condition.PAUSED
    assert tried.at(NOW + TRIAL) is Condition.TRIAL, "whoever tried may have died"


def test_a_failure_that_was_under_way_when_the_pause_began_does_not_lengthen_it() -> None:
    first = FRESH.failed(Trouble.REFUSED, "no", NOW)
    second = first.failed(Trouble.REFUSED, "no", NOW + timedelta(seconds=1))
    assert (second.paused_until, second.pauses) == (first.paused_until, 1)
