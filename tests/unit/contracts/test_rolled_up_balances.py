"""A balance is a snapshot and the rows since: whoever posts, gives up or rolls up meanwhile, it is all rows' sum."""

import asyncio
from collections import Counter
from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.ledger import Account
from tests.contracts.books import INCOME, PENDING, RECEIVABLE, transfer
from tests.fakes import FakeDatabase
from tests.fakes.clock import FakeClock
from tests.fakes.promises import FakePromises

ACCOUNTS = (RECEIVABLE, PENDING, INCOME)

# Units of work open, post, end in any order, and in between the next so many rows are rolled up.
steps = st.lists(
    st.one_of(
        st.tuples(st.just("begin"), st.integers(1, 5_000)),
        st.tuples(st.sampled_from(("commit", "abort")), st.integers(0, 1)),
        st.tuples(st.just("roll up"), st.sampled_from((1, 2, 20_000))),
    ),
    min_size=8,
    max_size=25,
)


@settings(max_examples=100)
@given(steps=steps)
def test_a_balance_is_the_sum_of_its_rows_whenever_it_is_rolled_up(steps: list[tuple[str, int]]) -> None:
    asyncio.run(_play(steps))


async def _play(steps: list[tuple[str, int]]) -> None:
    database = FakeDatabase()
    open_, expected, made = list[asyncio.Task[None]](), Counter[Account](), 0
    ends: dict[asyncio.Task[None], tuple[asyncio.Future[None], int]] = {}
    for what, how in steps:
        if what == "begin":
            end = asyncio.get_running_loop().create_future()
            task = asyncio.create_task(_unit(database, f"t{made}", how, end))
            made, ends[task] = made + 1, (end, how)
            open_.append(task)
            await _let_it_post()
        elif what == "roll up":
            async with database.unit_of_work() as uow:
                await uow.ledger.roll_up(limit=how)
        elif how < len(open_):
            task = open_.pop(how)
            end, minor = ends[task]
            end.set_result(None) if what == "commit" else end.set_exception(GivenUpError())
            await task
            if what == "commit":
                expected.update({PENDING: minor, INCOME: -1})
                expected[RECEIVABLE] -= minor - 1
        async with database.unit_of_work() as uow:
            assert {each: await uow.ledger.balance(each) for each in ACCOUNTS} == {
                each: expected[each] for each in ACCOUNTS
            }
    for task in open_:
        ends[task][0].set_exception(GivenUpError())
        await task
    assert not list(FakePromises(database.tables, FakeClock()).checkers["M9"]())


class GivenUpError(Exception):
    """Somebody's unit of work ends without a commit."""


async def _unit(database: FakeDatabase, key: str, minor: int, end: "asyncio.Future[None]") -> None:
    with suppress(GivenUpError):
        async with database.unit_of_work() as uow:
            legs = [transfer(f"{key}:1", 1, debit=INCOME)]
            if minor > 1:
                legs.append(transfer(f"{key}:2", minor - 1))
            await uow.ledger.post(legs)
            await end


async def _let_it_post() -> None:
    for _ in range(10):
        await asyncio.sleep(0)
