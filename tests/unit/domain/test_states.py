"""Every state machine is whole: each state stands in its table, each edge leads to a state, the rest is refused."""

from collections import deque
from enum import StrEnum
from typing import Any

import pytest

from domain.attempts import ATTEMPT_TRANSITIONS, LIVE, AttemptStatus
from domain.errors import Conflict, IllegalTransition
from domain.notifications import DELIVERY_TRANSITIONS, DeliveryStatus
from domain.orders import ORDER_TRANSITIONS, OrderStatus
from domain.payments import SUSPENSE_TRANSITIONS, SuspenseStatus
from domain.reconciliation import DISCREPANCY_TRANSITIONS, DiscrepancyStatus
from domain.refunds import REFUND_TRANSITIONS, RefundStatus
from domain.settlements import SETTLEMENT_TRANSITIONS, SettlementStatus
from domain.statements import DAY_TRANSITIONS, DayStatus
from domain.states import Table, step

MACHINES: list[tuple[type[StrEnum], Table[Any]]] = [
    (OrderStatus, ORDER_TRANSITIONS),
    (AttemptStatus, ATTEMPT_TRANSITIONS),
    (DeliveryStatus, DELIVERY_TRANSITIONS),
    (SuspenseStatus, SUSPENSE_TRANSITIONS),
    (DayStatus, DAY_TRANSITIONS),
    (DiscrepancyStatus, DISCREPANCY_TRANSITIONS),
    (RefundStatus, REFUND_TRANSITIONS),
    (SettlementStatus, SETTLEMENT_TRANSITIONS),
]
machines = pytest.mark.parametrize(("states", "table"), MACHINES, ids=[states.__name__ for states, _ in MACHINES])


@machines
def test_every_state_stands_in_its_table(states: type[StrEnum], table: Table[Any]) -> None:
    assert set(table) == set(states)


@machines
def test_every_edge_leads_to_a_state(states: type[StrEnum], table: Table[Any]) -> None:
    for state, following in table.items():
        assert following <= set(states), state


@machines
def test_every_state_can_be_reached_from_the_first(states: type[StrEnum], table: Table[Any]) -> None:
    first = next(iter(states))
    reached, todo = {first}, deque([first])
    while todo:
        for state in table[todo.popleft()] - reached:
            reached.add(state)
            todo.append(state)
    assert reached == set(states)


@machines
def test_a_step_is_taken_exactly_where_the_table_has_it(states: type[StrEnum], table: Table[Any]) -> None:
    for current in states:
        for wanted in states:
            if wanted in table[current]:
                assert step("thing", table, current, wanted) is wanted
            else:
                with pytest.raises(IllegalTransition, match=f"{current} to {wanted}"):
                    step("thing", table, current, wanted)


def test_an_illegal_step_is_a_conflict_with_a_code_of_its_own() -> None:
    with pytest.raises(Conflict) as caught:
        step("order", ORDER_TRANSITIONS, OrderStatus.PAID, OrderStatus.CLOSED)
    assert caught.value.code == "illegal_transition"


def test_money_that_came_outranks_every_state_but_a_reversal() -> None:
    for state in AttemptStatus:
        if state not in (AttemptStatus.SUCCEEDED, AttemptStatus.REVERSED):
            assert AttemptStatus.SUCCEEDED in ATTEMPT_TRANSITIONS[state], state


def test_what_may_still_be_paid_has_a_way_to_be_closed() -> None:
    for state in LIVE - {AttemptStatus.CREATED, AttemptStatus.REVERSING}:
        assert AttemptStatus.CLOSED in ATTEMPT_TRANSITIONS[state], state
    assert AttemptStatus.REVERSED in ATTEMPT_TRANSITIONS[AttemptStatus.REVERSING]
    assert AttemptStatus.UNKNOWN in ATTEMPT_TRANSITIONS[AttemptStatus.CREATED]
