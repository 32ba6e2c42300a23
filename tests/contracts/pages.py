"""Contract of the merchant API's read models: pages, cursors, and events that can never appear behind a cursor."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from domain.channels import Mode
from domain.errors import InvalidRequest, NotFound
from domain.notifications import Answer
from tests.contracts.interleaving import Gate
from tests.contracts.stage import DEADLINE_SECONDS, NOW, OnStage, Stage, soon

FOREIGN_CURSORS = ["abc", "!!!", "游标", "AAAA", "a" * 5_000, "../../etc", "bnVsbA", "\x00", "MTIz", "e30="]


class PagesContract(OnStage):
    async def _orders(self, stage: Stage, limit: int, status: str | None = None) -> list[list[Any]]:
        pages, cursor = [], None
        for _ in range(20):
            page = await stage.queries.orders(stage.merchant.id, Mode.TEST, status=status, cursor=cursor, limit=limit)
            pages.append(list(page.rows))
            cursor = page.next_cursor
            if cursor is None:
                return pages
        raise AssertionError("the list does not end")

    async def _events(self, stage: Stage, cursor: str | None, expected: int) -> tuple[list[str], str]:
        """Ids of the events after the cursor, read in small pages until as many as expected have come.

        An event may come a little later than its commit, while older transactions are still open somewhere.
        """
        seen: list[str] = []
        deadline = asyncio.get_running_loop().time() + DEADLINE_SECONDS
        while True:
            page = await stage.queries.events(stage.merchant.id, Mode.TEST, cursor=cursor, limit=2)
            seen += [row["id"] for row in page.rows]
            assert page.next_cursor is not None
            cursor = page.next_cursor
            if not page.rows and (len(seen) >= expected or asyncio.get_running_loop().time() > deadline):
                return seen, cursor
            await asyncio.sleep(0 if page.rows else 0.01)

    @pytest.mark.parametrize("limit", [1, 2, 5, 100])
    async def test_a_list_of_orders_gives_each_once_newest_first(self, stage: Stage, limit: int) -> None:
        orders = [await stage.order(now=NOW + timedelta(seconds=n)) for n in range(5)]
        await stage.order(mode=Mode.LIVE)
        pages = await self._orders(stage, limit)
        assert [row for page in pages for row in page] == [order.snapshot() for order in reversed(orders)]
        assert all(len(page) <= limit for page in pages)

    async def test_orders_placed_meanwhile_do_not_disturb_the_pages(self, stage: Stage) -> None:
        orders = [await stage.order(now=NOW + timedelta(seconds=n)) for n in range(3)]
        first = await stage.queries.orders(stage.merchant.id, Mode.TEST, status=None, cursor=None, limit=2)
        await stage.order(now=NOW + timedelta(seconds=9))
        assert first.next_cursor is not None
        rest = await stage.queries.orders(stage.merchant.id, Mode.TEST, status=None, cursor=first.next_cursor, limit=2)
        assert [row["id"] for row in (*first.rows, *rest.rows)] == [order.id for order in reversed(orders)]
        assert rest.next_cursor is None

    async def test_orders_are_filtered_by_status(self, stage: Stage) -> None:
        orders = [await stage.order(now=NOW + timedelta(seconds=n)) for n in range(4)]
        for order in orders[::2]:
            await stage.event(order)
        closed = [row["id"] for page in await self._orders(stage, 1, "closed") for row in page]
        assert closed == [orders[2].id, orders[0].id]
        assert [row for page in await self._orders(stage, 5, "paid") for row in page] == []

    async def test_nobody_sees_anothers_orders_events_or_deliveries(self, stage: Stage) -> None:
        event, endpoint = await stage.event(await stage.order()), await stage.endpoint()
        async with stage.unit_of_work() as uow:
            await uow.deliveries.add(stage.new_delivery(event, endpoint))
        await self._events(stage, None, 2)
        for merchant, mode in (("mch_other", Mode.TEST), (stage.merchant.id, Mode.LIVE)):
            orders = await stage.queries.orders(merchant, mode, status=None, cursor=None, limit=9)
            assert (list(orders.rows), orders.next_cursor) == ([], None)
            assert list((await stage.queries.events(merchant, mode, cursor=None, limit=9)).rows) == []
            assert list(await stage.queries.deliveries(merchant, mode, event.id)) == []

    @pytest.mark.parametrize("cursor", FOREIGN_CURSORS)
    async def test_a_cursor_that_is_not_ours_is_refused(self, stage: Stage, cursor: str) -> None:
        with pytest.raises(InvalidRequest) as caught:
            await stage.queries.orders(stage.merchant.id, Mode.TEST, status=None, cursor=cursor, limit=9)
        assert caught.value.code == "cursor_invalid"
        with pytest.raises(InvalidRequest) as caught:
            await stage.queries.events(stage.merchant.id, Mode.TEST, cursor=cursor, limit=9)
        assert caught.value.code == "cursor_invalid"

    async def test_events_come_oldest_first_with_their_bodies_and_more_come_after_the_cursor(
        self, stage: Stage
    ) -> None:
        events = []
        for n in range(3):
            order = stage.new_order(now=NOW + timedelta(seconds=n))
            async with stage.unit_of_work() as uow:
                await uow.orders.add(order)
            closed = await stage.event(order)
            events += [order.events[0], closed]
        seen, cursor = await self._events(stage, None, 6)
        assert seen == [event.id for event in events]
        assert (await self._events(stage, cursor, 0))[0] == []
        more = stage.new_order()
        async with stage.unit_of_work() as uow:
            await uow.orders.add(more)
        assert (await self._events(stage, cursor, 1))[0] == [more.events[0].id]
        page = await stage.queries.events(stage.merchant.id, Mode.TEST, cursor=None, limit=100)
        assert [dict(row) for row in page.rows][:6] == [event.body() for event in events]

    async def test_an_event_that_commits_late_does_not_appear_behind_a_cursor_given_out(self, stage: Stage) -> None:
        slow, quick, gate = stage.new_order(), stage.new_order(), Gate()

        async def first() -> None:
            async with stage.unit_of_work() as uow:
                await uow.orders.add(slow)
                await uow.orders.get(slow.id)
                await gate.pause()

        writer = asyncio.create_task(first())
        await soon(gate.arrived.wait())
        async with stage.unit_of_work() as uow:
            await uow.orders.add(quick)
        early, cursor = await self._events(stage, None, 0)
        gate.open.set()
        await soon(writer)
        rest, _ = await self._events(stage, cursor, 2 - len(early))
        assert sorted([*early, *rest]) == sorted([slow.events[0].id, quick.events[0].id])

    async def test_deliveries_of_an_event_are_shown_with_their_tries(self, stage: Stage) -> None:
        event, endpoint = await stage.event(await stage.order()), await stage.endpoint()
        delivery = stage.new_delivery(event, endpoint)
        async with stage.unit_of_work() as uow:
            await uow.deliveries.add(delivery)
        refused, taken = (
            Answer(status_code=503, body="稍后", duration_ms=7),
            Answer(error="timeout", duration_ms=10_000),
        )
        for answer in (refused, taken):
            async with stage.unit_of_work() as uow:
                current = (await uow.deliveries.lock([delivery.id]))[delivery.id].leased(NOW)
                await uow.deliveries.save(current.answered(answer, NOW), answer, NOW)
        (row,) = await stage.queries.deliveries(stage.merchant.id, Mode.TEST, event.id)
        assert (row["id"], row["endpoint_id"], row["url"]) == (delivery.id, endpoint.id, delivery.url)
        assert row["status"] == "due"
        shown = [(each["n"], each["status_code"], each["error"], each["body"]) for each in row["tries"]]
        assert shown == [(1, 503, None, "稍后"), (2, None, "timeout", "")]
        assert list(await stage.queries.deliveries(stage.merchant.id, Mode.TEST, "evt_none")) == []

    async def _log(self, stage: Stage, **asked: str) -> list[Any]:
        rows, cursor = list[Any](), None
        for _ in range(20):
            page = await stage.queries.delivery_log(
                stage.merchant.id,
                Mode.TEST,
                endpoint_id=asked.get("endpoint_id"),
                event_id=asked.get("event_id"),
                status=asked.get("status"),
                cursor=cursor,
                limit=2,
            )
            assert len(page.rows) <= 2
            rows += page.rows
            cursor = page.next_cursor
            if cursor is None:
                return rows
        raise AssertionError("the list does not end")

    async def test_the_delivery_log_is_filtered_by_endpoint_event_and_status(self, stage: Stage) -> None:
        events = [await stage.event(await stage.order()) for _ in range(3)]
        endpoints = [await stage.endpoint(f"https://shop.example/{n}") for n in range(2)]
        made = [
            stage.new_delivery(event, endpoint, created_at=NOW + timedelta(seconds=n))
            for n, (event, endpoint) in enumerate((event, endpoint) for event in events for endpoint in endpoints)
        ]
        async with stage.unit_of_work() as uow:
            for delivery in made:
                await uow.deliveries.add(delivery)
        async with stage.unit_of_work() as uow:
            await uow.deliveries.lock([made[0].id])
            made[0] = made[0].leased(NOW).answered(Answer(status_code=410), NOW)
            await uow.deliveries.save(made[0], Answer(status_code=410), NOW)
        newest_first = made[::-1]
        assert await self._log(stage) == [each.snapshot() for each in newest_first]
        for asked, wanted in (
            ({"endpoint_id": endpoints[0].id}, [each for each in newest_first if each.endpoint_id == endpoints[0].id]),
            ({"event_id": events[1].id}, [each for each in newest_first if each.event_id == events[1].id]),
            ({"status": "cancelled"}, [made[0]]),
            ({"status": "due", "endpoint_id": endpoints[0].id}, [made[4], made[2]]),
            ({"status": "delivered"}, []),
            ({"endpoint_id": "whe_none"}, []),
        ):
            assert await self._log(stage, **asked) == [each.snapshot() for each in wanted], asked
        page = await stage.queries.delivery_log(
            "mch_nobody", Mode.TEST, endpoint_id=None, event_id=None, status=None, cursor=None, limit=9
        )
        assert list(page.rows) == []

    async def test_a_delivery_shows_what_was_sent_and_what_came_back(self, stage: Stage) -> None:
        event, endpoint = await stage.event(await stage.order()), await stage.endpoint()
        delivery = stage.new_delivery(event, endpoint)
        async with stage.unit_of_work() as uow:
            await uow.deliveries.add(delivery)
        async with stage.unit_of_work() as uow:
            answer = Answer(status_code=503, body="later", duration_ms=12)
            await uow.deliveries.lock([delivery.id])
            delivery = delivery.leased(NOW).answered(answer, NOW)
            await uow.deliveries.save(delivery, answer, NOW)
        shown = await stage.queries.delivery(stage.merchant.id, Mode.TEST, delivery.id)
        assert shown["request"] == {
            "method": "POST",
            "url": endpoint.url,
            "headers": {"webhook-id": event.id},
            "body": event.body(),
        }
        assert [(row["status_code"], row["body"], row["duration_ms"]) for row in shown["tries"]] == [(503, "later", 12)]
        assert shown["next_at"] is not None
        for merchant_id, mode in ((stage.merchant.id, Mode.LIVE), ("mch_nobody", Mode.TEST)):
            with pytest.raises(NotFound):
                await stage.queries.delivery(merchant_id, mode, delivery.id)
        with pytest.raises(NotFound):
            await stage.queries.delivery(stage.merchant.id, Mode.TEST, "dlv_none")
