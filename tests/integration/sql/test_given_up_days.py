"""What came to nothing after all, on the real database: the same tests."""

import random

import pytest

from adapters.outbound.sql import SqlDatabase
from tests.unit.application.test_given_up import (
    Desk,
    test_a_payment_that_the_channel_has_undone_and_that_stands_here_is_found,
    test_a_payment_that_was_undone_and_of_which_we_know_nothing_came_to_nothing,
    test_a_payment_that_we_had_undone_is_no_difference,
    test_a_refund_that_is_given_up_later_comes_back_into_the_account_then,
    test_a_refund_that_the_bill_says_has_failed_and_we_think_done_is_a_difference,
    test_a_refund_that_was_given_up_on_its_day_is_no_difference_whatever_the_bills_show_of_it,
)

__all__ = [
    "test_a_payment_that_the_channel_has_undone_and_that_stands_here_is_found",
    "test_a_payment_that_was_undone_and_of_which_we_know_nothing_came_to_nothing",
    "test_a_payment_that_we_had_undone_is_no_difference",
    "test_a_refund_that_is_given_up_later_comes_back_into_the_account_then",
    "test_a_refund_that_the_bill_says_has_failed_and_we_think_done_is_a_difference",
    "test_a_refund_that_was_given_up_on_its_day_is_no_difference_whatever_the_bills_show_of_it",
]


@pytest.fixture
def desk(database: SqlDatabase) -> Desk:
    return Desk(random.Random(1), database.unit_of_work)
