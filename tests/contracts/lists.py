"""Contract of the consoles' lists, of the search by any number, and of an order's story."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from application.listings import (
    ATTEMPTS,
    AUDIT_RECORDS,
    CHANNEL_ACCOUNTS,
    CHANNEL_PAYMENTS,
    DELIVERIES,
    LISTINGS,
    MERCHANTS,
    NOTICES,
    ORDERS,
    SETTLEMENTS,
    SUSPENSE_ITEMS,
    TRANSFERS,
    WEBHOOK_ENDPOINTS,
)
from application.ports.lists import Asked, Listing
from domain.actors import SYSTEM
from domain.bookkeeping import payment_received as book
from domain.channels import ChannelNotice, Mode
from domain.errors import InvalidRequest
from domain.notifications import Answer
from domain.payments import SuspenseItem, Unattributed
from domain.settlements import Rail, Source
from tests.contracts.stage import NOW, OnStage, Stage

SECOND = timedelta(seconds=1)


async def everything(stage: Stage, listing: Listing, asked: Asked, *, limit: int = 2) -> list[dict[str, Any]]:
    """All rows of a filter, page by page; the export and the totals have to say the same."""
    rows, cursor = list[dict[str, Any]](), None
    for _ in range(30):
        page = await stage.lists.page(listing, asked, cursor=cursor, limit=limit)
        assert len(page.rows) <= limit
        rows += [dict(row) for row in page.rows]
        cursor = page.next_cursor
        if cursor is None:
            break
    else:
        raise AssertionError("the list does not end")
    assert [dict(row) async for piece in stage.lists.export(listing, asked) for row in piece] == rows
    totals = await stage.lists.totals(listing, asked)
    assert (totals.count, totals.exact) == (len(rows), True)
    if listing.amount:
        sums: dict[str, int] = {}
        for row in rows:
            sums[row["currency"]] = sums.get(row["currency"], 0) + row[listing.amount]
        assert totals.sums == sums
    assert all(list(row) == list(listing.columns) for row in rows)
    return rows


async def ids(stage: Stage, listing: Listing, **filters: str) -> list[str]:
    return [row["id"] for row in await everything(stage, listing, Asked.of(listing, filters))]


class ListsContract(OnStage):
    async def test_orders_are_listed_by_mode_merchant_status_and_number(self, stage: Stage) -> None:
        orders = [await stage.order(now=NOW + n * SECOND) for n in range(5)]
        live = await stage.order(mode=Mode.LIVE)
        await stage.event(orders[1])  # closed
        newest_first = [order.id for order in reversed(orders)]
        assert await ids(stage, ORDERS, mode="test") == newest_first
        assert await ids(stage, ORDERS, mode="live") == [live.id]
        assert await ids(stage, ORDERS, mode="test", status="closed") == [orders[1].id]
        assert await ids(stage, ORDERS, mode="test", status="pending", merchant_id=stage.merchant.id) == [
            each for each in newest_first if each != orders[1].id
        ]
        assert await ids(stage, ORDERS, merchant_id="mch_nobody") == []
        assert await ids(stage, ORDERS, merchant_order_no=orders[2].request.merchant_order_no) == [orders[2].id]

    async def test_a_list_is_cut_by_time_and_sorted_either_way(self, stage: Stage) -> None:
        orders = [(await stage.order(now=NOW + n * SECOND)).id for n in range(5)]
        for oldest_first in (False, True):
            asked = Asked.of(
                ORDERS, {"mode": "test"}, since=NOW + SECOND, until=NOW + 4 * SECOND, oldest_first=oldest_first
            )
            rows = [row["id"] for row in await everything(stage, ORDERS, asked)]
            assert rows == (orders[1:4] if oldest_first else orders[1:4][::-1])

    async def test_rows_of_one_instant_come_once_each(self, stage: Stage) -> None:
        orders = [(await stage.order()).id for _ in range(7)]
        assert await ids(stage, ORDERS, mode="test") == sorted(orders, reverse=True)

    async def test_a_row_shows_every_column(self, stage: Stage) -> None:
        order = await stage.order("A-1")
        (row,) = await everything(stage, ORDERS, Asked.of(ORDERS, {}))
        assert (row["id"], row["merchant_order_no"], row["amount"], row["currency"]) == (order.id, "A-1", 10_000, "CNY")
        assert (row["status"], row["method"], row["paid_at"]) == ("pending", "alipay_qr", None)
        assert row["created_at"] == "2026-11-22T04:00:00.123+00:00"

    async def test_everything_else_is_listed_too(self, stage: Stage) -> None:
        order = await stage.order()
        attempt = await stage.attempt(order)
        held = stage.new_payment(order, attempt, unattributed=Unattributed.LATE)
        item = SuspenseItem(
            id=stage.ids.new("sus"),
            payment_id=held.id,
            account_id=held.account_id,
            mode=held.mode,
            amount=held.received,
            reason=Unattributed.LATE,
            created_at=NOW,
        )
        event, endpoint = await stage.event(order), await stage.endpoint()
        delivery = stage.new_delivery(event, endpoint)
        record = SYSTEM.did("merchant.opened", stage.merchant.id, id=stage.ids.new("aud"), at=NOW, after={"a": 1})
        notice = ChannelNotice("n-1", "payment", None)
        async with stage.unit_of_work() as uow:
            await uow.payments.add(held)
            await uow.suspense.add(item)
            await uow.deliveries.add(delivery)
            await uow.audit.add(record)
            await uow.notices.add(stage.account.id, notice, body=b"", outcome="held", received_at=NOW)
        assert await ids(stage, ATTEMPTS, order_id=order.id) == [attempt.id]
        assert await ids(stage, ATTEMPTS, number=attempt.number, status="created") == [attempt.id]
        assert await ids(stage, CHANNEL_PAYMENTS, mode="test", unattributed="late") == [held.id]
        assert await ids(stage, CHANNEL_PAYMENTS, transaction_id=held.transaction_id) == [held.id]
        assert await ids(stage, CHANNEL_PAYMENTS, unattributed="second") == []
        assert await ids(stage, SUSPENSE_ITEMS, mode="test", status="open", reason="late") == [item.id]
        assert await ids(stage, DELIVERIES, endpoint_id=endpoint.id, status="due") == [delivery.id]
        assert await ids(stage, WEBHOOK_ENDPOINTS, mode="test", enabled="true") == [endpoint.id]
        assert await ids(stage, WEBHOOK_ENDPOINTS, disabled="failing") == []
        assert await ids(stage, MERCHANTS, active="false") == [stage.merchant.id]
        assert await ids(stage, CHANNEL_ACCOUNTS, channel="alipay", payee=stage.account.payee) == [stage.account.id]
        assert await ids(stage, AUDIT_RECORDS, object_id=stage.merchant.id) == [record.id]
        (row,) = await everything(stage, NOTICES, Asked.of(NOTICES, {"outcome": "held"}))
        assert (row["account_id"], row["notice_id"]) == (stage.account.id, "n-1")

    async def test_settlements_of_all_merchants_are_listed_by_merchant_status_and_day(self, stage: Stage) -> None:
        day = timedelta(days=1)
        first, second = [await stage.settlement(created_at=NOW + n * day) for n in range(2)]
        live = await stage.settlement(mode=Mode.LIVE, created_at=NOW + 2 * day)
        gone = stage.new_settlement(created_at=NOW).rejected("no", NOW)
        other = replace(stage.merchant, id=stage.ids.new("mch"))
        async with stage.unit_of_work() as uow:
            await uow.merchants.add(other)
            await uow.settlements.add(gone)
            await uow.settlements.add(theirs := stage.new_settlement(merchant_id=other.id, created_at=NOW + 3 * day))
        assert await ids(stage, SETTLEMENTS, mode="test") == [theirs.id, second.id, *sorted([first.id, gone.id])[::-1]]
        assert await ids(stage, SETTLEMENTS, mode="live") == [live.id]
        assert await ids(stage, SETTLEMENTS, mode="test", merchant_id=other.id, status="created") == [theirs.id]
        assert await ids(stage, SETTLEMENTS, status="rejected") == [gone.id]
        assert await ids(stage, SETTLEMENTS, number=first.number) == [first.id]
        asked = Asked.of(SETTLEMENTS, {"mode": "test"}, since=NOW + day, until=NOW + 2 * day)
        (row,) = await everything(stage, SETTLEMENTS, asked)
        assert (row["id"], row["swept"], row["amount"], row["fee"], row["rail"]) == (
            second.id,
            10_000,
            9_000,
            100,
            None,
        )
        payee = stage.merchant.payee
        assert payee is not None
        approved = first.approved("opr_chen", payee, Source(Rail.ALIPAY, "cha_1"), NOW)
        async with stage.unit_of_work() as uow:
            await uow.settlements.save(approved)
        (row,) = await everything(stage, SETTLEMENTS, Asked.of(SETTLEMENTS, {"rail": "alipay"}))
        assert (row["status"], row["source_owner"], row["approved_by"]) == ("approved", "cha_1", "opr_chen")
        hits = await stage.finding.search(first.number)
        assert [(hit.kind, hit.id, hit.field) for hit in hits] == [("settlement", first.id, "number")]

    async def test_an_unknown_filter_or_choice_is_refused(self, stage: Stage) -> None:
        for listing, filters in ((ORDERS, {"color": "red"}), (ORDERS, {"status": "lost"}), (TRANSFERS, {"id": "1"})):
            with pytest.raises(InvalidRequest):
                Asked.of(listing, filters)
        with pytest.raises(InvalidRequest):
            Asked.of(ORDERS, {}, since=NOW, until=NOW)
        with pytest.raises(InvalidRequest):
            Asked.of(TRANSFERS, {}, since=NOW)

    @pytest.mark.parametrize("cursor", ["abc", "!!!", "b3JkZXJz", "a" * 5_000, "\x00", "游标", "e30="])
    async def test_a_foreign_cursor_is_refused(self, stage: Stage, cursor: str) -> None:
        for listing in LISTINGS.values():
            with pytest.raises(InvalidRequest) as caught:
                await stage.lists.page(listing, Asked(), cursor=cursor, limit=2)
            assert caught.value.code == "cursor_invalid"

    async def test_a_cursor_is_of_its_own_list_and_direction(self, stage: Stage) -> None:
        order = await stage.order()
        for _ in range(3):
            await stage.attempt(order)
            await stage.order()
        cursor = (await stage.lists.page(ATTEMPTS, Asked(), cursor=None, limit=2)).next_cursor
        with pytest.raises(InvalidRequest):
            await stage.lists.page(ORDERS, Asked(), cursor=cursor, limit=2)
        with pytest.raises(InvalidRequest):
            await stage.lists.page(ATTEMPTS, Asked(oldest_first=True), cursor=cursor, limit=2)

    async def test_any_number_finds_its_object_and_only_for_whom_it_is(self, stage: Stage) -> None:
        order = await stage.order("A-1")
        attempt = await stage.attempt(order)
        payment = stage.new_payment(order, attempt, "2026112222001400000000000001")
        async with stage.unit_of_work() as uow:
            await uow.payments.add(payment)
        for number, found in (
            (order.id, [("order", order.id, "id")]),
            ("A-1", [("order", order.id, "merchant_order_no")]),
            (attempt.id, [("attempt", attempt.id, "id")]),
            (attempt.number, [("attempt", attempt.id, "number"), ("channel_payment", payment.id, "number")]),
            ("2026112222001400000000000001", [("channel_payment", payment.id, "transaction_id")]),
            (stage.merchant.id, [("merchant", stage.merchant.id, "id")]),
            (stage.account.id, [("channel_account", stage.account.id, "id")]),
            ("A-2", []),
            ("", []),
            ("%", []),
        ):
            hits = await stage.finding.search(number)
            assert sorted((hit.kind, hit.id, hit.field) for hit in hits) == found, number
        (hit,) = await stage.finding.search(payment.id, merchant_id=stage.merchant.id, mode=Mode.TEST)
        assert (hit.order_id, hit.merchant_id, hit.mode) == (order.id, stage.merchant.id, "test")
        assert list(await stage.finding.search("A-1", merchant_id="mch_other")) == []
        assert list(await stage.finding.search("A-1", mode=Mode.LIVE)) == []

    async def test_an_orders_story_has_everything_in_its_order(self, stage: Stage) -> None:
        placed = stage.new_order()
        async with stage.unit_of_work() as uow:
            await uow.orders.add(placed)
        order = replace(placed, events=())
        attempt = stage.new_attempt(order).doubted(NOW + SECOND)
        payment = stage.new_payment(order, attempt)
        endpoint = await stage.endpoint()
        closed = order.close("merchant", now=NOW + 2 * SECOND)
        delivery = stage.new_delivery(closed.events[-1], endpoint)
        record = SYSTEM.did("order.noted", order.id, id=stage.ids.new("aud"), at=NOW + 9 * SECOND)
        async with stage.unit_of_work() as uow:
            await uow.attempts.add(attempt)
            await uow.payments.add(payment)
            await uow.ledger.post(book(payment))
            await uow.orders.save(closed)
            await uow.deliveries.add(delivery)
            await uow.audit.add(record)
        async with stage.unit_of_work() as uow:
            await uow.deliveries.lock([delivery.id])
            answer = Answer(status_code=200)
            await uow.deliveries.save(delivery.leased(NOW).answered(answer, NOW), answer, NOW + 3 * SECOND)
        told = await stage.finding.story(order.id)
        assert [line.at for line in told] == sorted(line.at for line in told)
        assert sorted((line.what, line.type, line.object_id, line.actor) for line in told) == sorted(
            [
                ("event", "order.created", order.id, "merchant"),
                ("event", "attempt.unknown", attempt.id, "system"),
                ("event", "order.closed", order.id, "merchant"),
                ("payment", "effective", payment.id, "channel"),
                ("transfer", "payment", payment.id, "system"),
                ("transfer", "payment", payment.id, "system"),
                ("delivery", "accepted", delivery.id, "system"),
                ("audit", "order.noted", order.id, "system"),
            ]
        )
        assert next(line.cause for line in told if line.what == "payment") == payment.evidence
        assert list(await stage.finding.story("ord_00000000000000000000000000")) == []
