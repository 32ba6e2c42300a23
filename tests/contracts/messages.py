"""Contract of what comes in and goes out: notices, outbox, deliveries, idempotency keys."""

import asyncio
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from application.ports.storage import AlreadyExists, Moved
from domain.channels import Channel, ChannelNotice, Mode
from domain.circuits import Circuit
from domain.errors import NotFound
from domain.events import Event
from domain.idempotency import RUNNING, IdempotencyKey
from domain.kept_notices import KEPT_AN_HOUR, RefusedNotice
from domain.notifications import LEASE, Answer, Delivery, DeliveryStatus
from tests.contracts.stage import NOW, OnStage, Stage, assert_every_field_is_filled, soon

SECOND = timedelta(seconds=1)


class NoticesContract(OnStage):
    async def test_a_notice_is_new_once_for_each_account(self, stage: Stage) -> None:
        notice = ChannelNotice("n-1", "payment", None)
        added = ((stage.account.id, "confirmed"), (stage.account.id, "known"), ("cha_other", "held"))
        for account, outcome in added:
            async with stage.unit_of_work() as uow:
                await uow.notices.add(account, notice, body=b"\xff\x00", outcome=outcome, received_at=NOW)
        assert await stage.notices() == sorted([(stage.account.id, "n-1", "confirmed"), ("cha_other", "n-1", "held")])

    async def test_a_notice_that_must_be_fresh_is_refused_with_its_unit_of_work(self, stage: Stage) -> None:
        notice = ChannelNotice("n-1", "payment", None)
        for fresh, outcome in ((False, "mismatch"), (True, "confirmed")):
            with pytest.raises(AlreadyExists, match="pk_notice") if fresh else nullcontext():
                async with stage.unit_of_work() as uow:
                    await uow.notices.add(
                        stage.account.id, notice, body=b"", outcome=outcome, received_at=NOW, fresh=fresh
                    )
        assert await stage.notices() == [(stage.account.id, "n-1", "mismatch")]

    async def test_a_notice_is_kept_as_it_first_came(self, stage: Stage) -> None:
        first = ChannelNotice("n-1", "payment", None, headers={"wechatpay-nonce": "a", "wechatpay-serial": "é"})
        again = replace(first, headers={"wechatpay-nonce": "b"})
        for notice, body, at in ((first, b"\xff\x00", NOW), (again, b"second", NOW + SECOND)):
            async with stage.unit_of_work() as uow:
                await uow.notices.add(stage.account.id, notice, body=body, outcome="mismatch", received_at=at)
        async with stage.unit_of_work() as uow:
            kept = await uow.notices.get(stage.account.id, "n-1")
            assert (kept.account_id, kept.headers) == (stage.account.id, first.headers)
            assert (kept.body, kept.received_at) == (b"\xff\x00", NOW)
            for account, id_ in ((stage.account.id, "n-2"), ("cha_other", "n-1")):
                with pytest.raises(NotFound):
                    await uow.notices.get(account, id_)

    async def test_refused_notices_are_kept_so_many_an_hour_and_forgotten_by_age(self, stage: Stage) -> None:
        def refused(n: int, account: str = "cha_1", at: datetime = NOW) -> RefusedNotice:
            made = RefusedNotice.of(
                Channel.WECHAT,
                account,
                {"wechatpay-serial": "01", "cookie": "secret"},
                b"\xff\x00{",
                id=f"ntc_{n}",
                reason="signature_invalid",
                now=at,
            )
            assert made.headers == {"wechatpay-serial": "01"}
            return made

        later = NOW + timedelta(hours=1)
        async with stage.unit_of_work() as uow:
            assert all([await uow.notices.refuse(refused(n)) for n in range(KEPT_AN_HOUR)])
            assert not await uow.notices.refuse(refused(KEPT_AN_HOUR))
            assert await uow.notices.refuse(refused(KEPT_AN_HOUR, "cha_2"))
            assert await uow.notices.refuse(refused(KEPT_AN_HOUR + 1, at=later))
        async with stage.unit_of_work() as uow:
            assert await uow.notices.refused("ntc_0") == refused(0)
            newest = refused(KEPT_AN_HOUR + 1, at=later)
            assert (await uow.notices.refusals(limit=3))[0] == newest
            assert len(await uow.notices.refusals(limit=3)) == 3
            assert await uow.notices.purge_refused(later) == KEPT_AN_HOUR + 1
            assert await uow.notices.refused(f"ntc_{KEPT_AN_HOUR + 1}") == refused(KEPT_AN_HOUR + 1, at=later)
            with pytest.raises(NotFound):
                await uow.notices.refused("ntc_0")


class OutboxContract(OnStage):
    async def test_events_are_claimed_oldest_first_and_are_gone_when_done(self, stage: Stage) -> None:
        events = [await stage.event(await stage.order()) for _ in range(3)]
        async with stage.unit_of_work() as uow:
            claimed = await uow.outbox.claim(limit=2)
            assert list(claimed) == events[:2]
            await uow.outbox.done(claimed)
        async with stage.unit_of_work() as uow:
            assert list(await uow.outbox.claim(limit=10)) == events[2:]

    async def test_a_claim_that_is_not_done_comes_again(self, stage: Stage) -> None:
        event = await stage.event(await stage.order())
        for _ in range(2):
            async with stage.unit_of_work() as uow:
                assert list(await uow.outbox.claim(limit=10)) == [event]

    async def test_events_are_read_together_and_unknown_ones_are_left_out(self, stage: Stage) -> None:
        first, second, _ = [await stage.event(await stage.order()) for _ in range(3)]
        async with stage.unit_of_work() as uow:
            found = await uow.events.many({second.id, first.id, "evt_00000000000000000000000000"})
        assert found == {first.id: first, second.id: second}

    async def test_an_unknown_event_is_not_found(self, stage: Stage) -> None:
        with pytest.raises(NotFound):
            async with stage.unit_of_work() as uow:
                await uow.events.get("evt_00000000000000000000000000")


class DeliveriesContract(OnStage):
    async def _deliveries(self, stage: Stage, endpoints: int, events: int) -> list[Delivery]:
        """Stored ones, due in the order of the list: every event to the first endpoint, then to the next."""
        told: list[Event] = [await stage.event(await stage.order()) for _ in range(events)]
        where = [await stage.endpoint(f"https://shop.example/{n}") for n in range(endpoints)]
        pairs = [(event, endpoint) for endpoint in where for event in told]
        due = [
            stage.new_delivery(event, endpoint, next_at=NOW - timedelta(minutes=1) + n * SECOND)
            for n, (event, endpoint) in enumerate(pairs)
        ]
        async with stage.unit_of_work() as uow:
            for delivery in due:
                await uow.deliveries.add(delivery)
        return due

    async def test_a_delivery_comes_back_as_it_was_stored(self, stage: Stage) -> None:
        (due,) = await self._deliveries(stage, 1, 1)
        async with stage.unit_of_work() as uow:
            assert await uow.deliveries.lock([due.id]) == {due.id: due}
            done = replace(due, status=DeliveryStatus.EXHAUSTED, next_at=None, tries=13)
            await uow.deliveries.save(done, Answer(error="timeout"), NOW)
        async with stage.unit_of_work() as uow:
            assert await uow.deliveries.lock([due.id]) == {due.id: done}

    async def test_deliveries_are_locked_together_and_unknown_ones_are_left_out(self, stage: Stage) -> None:
        first, second, _ = await self._deliveries(stage, 3, 1)
        async with stage.unit_of_work() as uow:
            found = await uow.deliveries.lock({second.id, first.id, "dlv_00000000000000000000000000"})
            assert found == {first.id: first, second.id: second}

    async def test_an_event_goes_to_an_endpoint_once(self, stage: Stage) -> None:
        (first,) = await self._deliveries(stage, 1, 1)
        again = replace(first, id=stage.ids.new("dlv"))
        async with stage.unit_of_work() as uow:
            await uow.deliveries.add(again)
        async with stage.unit_of_work() as uow:
            claimed = await uow.deliveries.claim_due(NOW, limit=10, per_endpoint=10)
            assert [delivery.id for delivery in claimed] == [first.id]

    @pytest.mark.parametrize("moved", [False, True])
    async def test_deliveries_are_stored_as_they_were_claimed_unless_one_has_moved(
        self, stage: Stage, moved: bool
    ) -> None:
        await self._deliveries(stage, 1, 2)
        accepted = Answer(status_code=200)
        async with stage.unit_of_work() as uow:
            claimed = await uow.deliveries.claim_due(NOW, limit=9, per_endpoint=9)
        if moved:
            async with stage.unit_of_work() as uow:
                await uow.deliveries.save(claimed[1].leased(NOW + SECOND), None, NOW)

        async def store() -> None:
            async with stage.unit_of_work() as uow:
                await uow.deliveries.watch(claimed)
                for each in claimed:
                    await uow.deliveries.save(each.answered(accepted, NOW), accepted, NOW)

        if moved:
            with pytest.raises(Moved):
                await store()
        else:
            await store()
        async with stage.unit_of_work() as uow:
            stored = await uow.deliveries.lock([each.id for each in claimed])
        statuses = {stored[each.id].status for each in claimed}
        assert statuses == {DeliveryStatus.DUE if moved else DeliveryStatus.DELIVERED}

    async def test_due_deliveries_are_claimed_oldest_first_under_a_lease(self, stage: Stage) -> None:
        due = await self._deliveries(stage, 1, 3)
        async with stage.unit_of_work() as uow:
            claimed = await uow.deliveries.claim_due(NOW, limit=2, per_endpoint=10)
        assert list(claimed) == [delivery.leased(NOW) for delivery in due[:2]]
        async with stage.unit_of_work() as uow:
            assert [d.id for d in await uow.deliveries.claim_due(NOW, limit=9, per_endpoint=9)] == [due[2].id]
        async with stage.unit_of_work() as uow:
            assert list(await uow.deliveries.claim_due(NOW, limit=9, per_endpoint=9)) == []
            again = await uow.deliveries.claim_due(NOW + LEASE, limit=9, per_endpoint=9)
        assert sorted((d.id, d.tries) for d in again) == sorted((d.id, 2) for d in due)

    async def test_one_endpoint_cannot_crowd_out_the_others(self, stage: Stage) -> None:
        due = await self._deliveries(stage, 2, 3)
        async with stage.unit_of_work() as uow:
            claimed = await uow.deliveries.claim_due(NOW, limit=10, per_endpoint=2)
        assert [delivery.id for delivery in claimed] == [due[0].id, due[1].id, due[3].id, due[4].id]

    async def test_tries_in_flight_count_until_they_come_back_or_their_lease_ends(self, stage: Stage) -> None:
        due = await self._deliveries(stage, 1, 5)
        async with stage.unit_of_work() as uow:
            first = await uow.deliveries.claim_due(NOW, limit=10, per_endpoint=2)
        async with stage.unit_of_work() as uow:
            assert list(await uow.deliveries.claim_due(NOW, limit=10, per_endpoint=2)) == []
        async with stage.unit_of_work() as uow:
            back = (await uow.deliveries.lock([first[0].id]))[first[0].id]
            await uow.deliveries.save(back.answered(Answer(status_code=200), NOW), Answer(status_code=200), NOW)
        async with stage.unit_of_work() as uow:
            claimed = await uow.deliveries.claim_due(NOW, limit=10, per_endpoint=2)
        assert [delivery.id for delivery in claimed] == [due[2].id]
        async with stage.unit_of_work() as uow:
            assert len(await uow.deliveries.claim_due(NOW + LEASE, limit=10, per_endpoint=2)) == 2

    async def test_what_is_not_due_is_not_claimed(self, stage: Stage) -> None:
        later, done = await self._deliveries(stage, 1, 2)
        async with stage.unit_of_work() as uow:
            await uow.deliveries.save(replace(later, next_at=NOW + SECOND), None, NOW)
            await uow.deliveries.save(replace(done, status=DeliveryStatus.DELIVERED), None, NOW)
        async with stage.unit_of_work() as uow:
            assert list(await uow.deliveries.claim_due(NOW, limit=10, per_endpoint=10)) == []

    async def test_a_delivery_keeps_every_field(self, stage: Stage) -> None:
        (due,) = await self._deliveries(stage, 1, 1)
        leased = replace(due.leased(NOW), tries=4, tries_before=3)
        assert_every_field_is_filled(leased, but=frozenset({"events", "status"}))
        async with stage.unit_of_work() as uow:
            await uow.deliveries.lock([due.id])
            await uow.deliveries.save(leased, None, NOW)
        async with stage.unit_of_work() as uow:
            assert await uow.deliveries.lock([due.id]) == {due.id: leased}

    async def test_what_a_paused_lane_holds_back_is_not_claimed_and_others_are(self, stage: Stage) -> None:
        due = await self._deliveries(stage, 2, 3)
        circuit = Circuit.first(due[0].lane, due[0].endpoint_id, NOW)
        paused = replace(circuit, failures=5, pauses=1, paused_until=NOW + SECOND)
        async with stage.unit_of_work() as uow:
            await uow.circuits.save([paused])
        async with stage.unit_of_work() as uow:
            claimed = await uow.deliveries.claim_due(NOW, limit=10, per_endpoint=2)
        assert [delivery.id for delivery in claimed] == [due[3].id, due[4].id]
        async with stage.unit_of_work() as uow:
            claimed = await uow.deliveries.claim_due(NOW + SECOND, limit=10, per_endpoint=2)
        assert [delivery.id for delivery in claimed] == [due[0].id], "one alone finds out"

    async def test_one_that_failed_a_little_has_room_like_everybody(self, stage: Stage) -> None:
        due = await self._deliveries(stage, 1, 3)
        async with stage.unit_of_work() as uow:
            await uow.circuits.save([Circuit.first(due[0].lane, due[0].endpoint_id, NOW)])
        async with stage.unit_of_work() as uow:
            assert len(await uow.deliveries.claim_due(NOW, limit=10, per_endpoint=2)) == 2

    async def test_an_endpoints_due_deliveries_are_cancelled_a_few_at_a_time(self, stage: Stage) -> None:
        due = await self._deliveries(stage, 2, 3)
        counts = []
        for _ in range(3):
            async with stage.unit_of_work() as uow:
                counts.append(await uow.deliveries.cancel_due(due[0].endpoint_id, limit=2))
        assert counts == [2, 1, 0]
        async with stage.unit_of_work() as uow:
            found = await uow.deliveries.lock([delivery.id for delivery in due])
        assert [found[each.id] for each in due] == [*(each.cancelled() for each in due[:3]), *due[3:]]

    async def test_what_an_endpoint_missed_is_what_it_wants_and_never_took(self, stage: Stage) -> None:
        events = [await stage.event(await stage.order()) for _ in range(6)]
        endpoint = await stage.endpoint(event_types=frozenset({"order.closed"}))
        other = await stage.endpoint("https://shop.example/other", event_types=frozenset({"order.paid"}))
        standing = [stage.new_delivery(event, endpoint) for event in events[:4]]
        ends = [DeliveryStatus.DELIVERED, DeliveryStatus.DUE, DeliveryStatus.EXHAUSTED, DeliveryStatus.CANCELLED]
        standing = [
            replace(each, status=end, next_at=NOW if end is DeliveryStatus.DUE else None)
            for each, end in zip(standing, ends, strict=True)
        ]
        async with stage.unit_of_work() as uow:
            for delivery in standing:
                await uow.deliveries.add(delivery)
            claimed = await uow.outbox.claim(limit=9)
            await uow.outbox.done([event for event in claimed if event.id != events[5].id])  # the last still waits
        async with stage.unit_of_work() as uow:
            missed = await uow.deliveries.missed(endpoint, NOW, NOW + SECOND, limit=9)
            assert list(missed) == [(events[2], standing[2]), (events[3], standing[3]), (events[4], None)]
            assert len(await uow.deliveries.missed(endpoint, NOW, NOW + SECOND, limit=2)) == 2
            assert list(await uow.deliveries.missed(endpoint, NOW - SECOND, NOW, limit=9)) == []
            assert list(await uow.deliveries.missed(endpoint, NOW + SECOND, NOW + 2 * SECOND, limit=9)) == []
            assert list(await uow.deliveries.missed(other, NOW, NOW + SECOND, limit=9)) == []


class CircuitsContract(OnStage):
    async def _circuit(self, stage: Stage, url: str = "https://shop.example/hooks") -> Circuit:
        endpoint = await stage.endpoint(url)
        return Circuit(
            lane=endpoint.lane(url),
            endpoint_id=endpoint.id,
            failing_since=NOW - timedelta(days=1),
            failed_at=NOW,
            failures=7,
            pauses=2,
            paused_until=NOW + timedelta(minutes=1),
        )

    async def test_a_circuit_comes_back_as_it_was_saved_and_is_replaced_by_the_next(self, stage: Stage) -> None:
        circuit = await self._circuit(stage)
        assert_every_field_is_filled(circuit)
        for each in (circuit, replace(circuit, failures=8, paused_until=None)):
            async with stage.unit_of_work() as uow:
                await uow.circuits.save([each])
            async with stage.unit_of_work() as uow:
                assert await uow.circuits.lock([each.lane, "whe_none"]) == {each.lane: each}

    async def test_a_closed_one_is_forgotten_and_the_others_stay(self, stage: Stage) -> None:
        first, second = await self._circuit(stage), await self._circuit(stage, "https://shop.example/2")
        async with stage.unit_of_work() as uow:
            await uow.circuits.save([second, first])
        async with stage.unit_of_work() as uow:
            await uow.circuits.close([first.lane, "whe_none"])
        async with stage.unit_of_work() as uow:
            assert await uow.circuits.lock([first.lane, second.lane]) == {second.lane: second}

    async def test_closing_waits_for_nobody(self, stage: Stage) -> None:
        circuit = await self._circuit(stage)

        async def close() -> None:
            async with stage.unit_of_work() as uow:
                await uow.circuits.close([circuit.lane])

        async with stage.unit_of_work() as uow:
            await uow.circuits.save([circuit])
        async with stage.unit_of_work() as uow:
            await uow.circuits.lock([circuit.lane])
            await soon(asyncio.create_task(close()))
        async with stage.unit_of_work() as uow:
            assert await uow.circuits.lock([circuit.lane]) == {circuit.lane: circuit}


class IdempotencyContract(OnStage):
    def _key(
        self, stage: Stage, text: str = "k-1", fingerprint: bytes = b"\x00one", mode: Mode = Mode.TEST
    ) -> IdempotencyKey:
        return IdempotencyKey(merchant_id=stage.merchant.id, mode=mode, key=text, fingerprint=fingerprint)

    async def test_a_new_key_is_ours_and_then_stands_in_the_way_while_it_runs(self, stage: Stage) -> None:
        key = self._key(stage)
        async with stage.unit_of_work() as uow:
            assert await uow.idempotency.claim(key, now=NOW) is None
        async with stage.unit_of_work() as uow:
            standing = await uow.idempotency.claim(key, now=NOW + SECOND)
        assert standing is not None
        assert standing.key == key
        assert standing.locked_until == NOW + RUNNING
        assert (standing.status, standing.body) == (None, None)

    async def test_modes_merchants_and_keys_do_not_meet(self, stage: Stage) -> None:
        key = self._key(stage)
        others = (self._key(stage, "K-1"), self._key(stage, mode=Mode.LIVE), replace(key, merchant_id="mch_other"))
        async with stage.unit_of_work() as uow:
            for each in (key, *others):
                assert await uow.idempotency.claim(each, now=NOW) is None

    async def test_an_answer_is_kept_byte_for_byte(self, stage: Stage) -> None:
        key, body = self._key(stage), b'{"\xe9": \x00\xff}'
        async with stage.unit_of_work() as uow:
            assert await uow.idempotency.claim(key, now=NOW) is None
        async with stage.unit_of_work() as uow:
            await uow.idempotency.answer(key, 201, body)
        async with stage.unit_of_work() as uow:
            standing = await uow.idempotency.claim(key, now=NOW + timedelta(days=1))
        assert standing is not None
        assert (standing.status, standing.body) == (201, body)

    async def test_claim_and_answer_fit_into_one_unit_of_work(self, stage: Stage) -> None:
        key = self._key(stage)
        async with stage.unit_of_work() as uow:
            assert await uow.idempotency.claim(key, now=NOW) is None
            await uow.idempotency.answer(key, 200, b"{}")
        async with stage.unit_of_work() as uow:
            standing = await uow.idempotency.claim(key, now=NOW)
        assert standing is not None
        assert standing.status == 200

    async def test_a_released_key_is_free_again(self, stage: Stage) -> None:
        key = self._key(stage)
        async with stage.unit_of_work() as uow:
            await uow.idempotency.claim(key, now=NOW)
        async with stage.unit_of_work() as uow:
            await uow.idempotency.release(key)
        async with stage.unit_of_work() as uow:
            assert await uow.idempotency.claim(replace(key, fingerprint=b"two"), now=NOW) is None

    async def test_an_abandoned_key_is_taken_over_by_the_same_call_only(self, stage: Stage) -> None:
        key, after = self._key(stage), NOW + RUNNING + SECOND
        async with stage.unit_of_work() as uow:
            await uow.idempotency.claim(key, now=NOW)
        async with stage.unit_of_work() as uow:
            standing = await uow.idempotency.claim(replace(key, fingerprint=b"two"), now=after)
            assert standing is not None
            assert standing.key == key
        async with stage.unit_of_work() as uow:
            assert await uow.idempotency.claim(key, now=after) is None
        async with stage.unit_of_work() as uow:
            standing = await uow.idempotency.claim(key, now=after + SECOND)
            assert standing is not None
            assert standing.locked_until == after + RUNNING

    async def test_a_key_in_use_for_another_call_stands_in_the_way(self, stage: Stage) -> None:
        key = self._key(stage)
        async with stage.unit_of_work() as uow:
            await uow.idempotency.claim(key, now=NOW)
        async with stage.unit_of_work() as uow:
            standing = await uow.idempotency.claim(replace(key, fingerprint=b"two"), now=NOW)
        assert standing is not None
        assert standing.key.fingerprint == key.fingerprint

    async def test_old_keys_are_purged_and_counted(self, stage: Stage) -> None:
        old, new = self._key(stage, "old"), self._key(stage, "new")
        async with stage.unit_of_work() as uow:
            await uow.idempotency.claim(old, now=NOW)
            await uow.idempotency.claim(new, now=NOW + SECOND)
        async with stage.unit_of_work() as uow:
            assert await uow.idempotency.purge(NOW) == 0
            assert await uow.idempotency.purge(NOW + SECOND) == 1
        async with stage.unit_of_work() as uow:
            assert await uow.idempotency.claim(new, now=NOW + SECOND) is not None
            assert await uow.idempotency.claim(old, now=NOW + SECOND) is None
