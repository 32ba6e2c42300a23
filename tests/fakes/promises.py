"""The promises' checkers over the fake database: the twins of the queries that PostgreSQL runs, under the same ids."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from application.confirm_attempt import Outcome
from application.ports.promises import PROMISES, Breach
from application.ports.world import Clock
from domain.account_entries import AccountEntry, EntryKind
from domain.attempts import POLL_END, AttemptStatus
from domain.channels import FundMode
from domain.circuits import LONGEST_PAUSE
from domain.ledger import PLATFORM, Account
from domain.notifications import LEASE, DeliveryStatus
from domain.orders import OrderStatus
from domain.payments import ChannelPayment, SuspenseItem, SuspenseStatus
from domain.refunds import PURSUED, Refund, RefundStatus
from domain.times import shanghai_day
from tests.fakes.rows import BalanceCursor, Tables
from tests.fakes.settlement_promises import released_when_due, settled_once
from tests.fakes.sharing_promises import shared_as_told

Row = Mapping[str, Any]

# BOOKS.md, payment and money held: part, debit → credit, by fund mode and whether it pays an order.
_RULES = {
    (FundMode.COLLECT, True): (("net", "CR", "MP"), ("fee", "CR", "FI")),
    (FundMode.DIRECT, True): (("net", "DH", "DO"), ("fee", "SFD", "FI")),
    (FundMode.COLLECT, False): (("held", "CR", "SUS"),),
    (FundMode.DIRECT, False): (("held", "DH", "DO"),),
}

_ENTRIES = {
    EntryKind.FREEZE: ("frozen", "MA", "MF"),
    EntryKind.UNFREEZE: ("unfrozen", "MF", "MA"),
    EntryKind.TOP_UP: ("topped_up", "BANK", "MA"),
    EntryKind.CREDIT: ("adjusted", "ADJ", "MA"),
    EntryKind.DEBIT: ("adjusted", "MA", "ADJ"),
    EntryKind.BANK_ARRIVAL: ("bank_arrived", "BANK", "BT"),
}


class FakePromises:
    """``broken`` may be called at any moment of a life: a unit of work that is under way has committed nothing."""

    def __init__(
        self,
        tables: Tables,
        clock: Clock,
        *,
        lag: timedelta = timedelta(minutes=5),
        settling: timedelta = timedelta(minutes=10),
    ) -> None:
        self._tables, self._clock, self._lag, self._settling = tables, clock, lag, settling
        self._seen: dict[str, dict[Hashable, object]] = {}

    async def broken(self) -> Sequence[Breach]:
        return [Breach(promise, rows) for promise in PROMISES if (rows := list(self.checkers[promise]()))]

    @property
    def checkers(self) -> Mapping[str, Callable[[], Iterator[Row]]]:
        return {
            "M1": self._sums_to_zero,
            "M2": lambda: self._amiss(effective=True),
            "M3": self._confirmed_by_the_channel,
            "M4": self._held,
            "M5": self._refunds,
            "M6": self._below_zero,
            "M7": lambda: settled_once(self._tables),
            "M8": self._rewritten,
            "M9": self._rolled_up,
            "M10": self._fees,
            "M11": self._entries,
            "M12": self._closed,
            "M13": lambda: shared_as_told(self._tables),
            "L1": self._histories,
            "L2": self._notices,
            "L3": self._announced,
            "L4": self._unfinished,
            "L5": self._published_twice,
            "R3": lambda: released_when_due(self._tables),
        }

    # ── Money ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _sums_to_zero(self) -> Iterator[Row]:
        sums: Counter[tuple[str, str]] = Counter()
        for transfer in self._transfers():
            sums[transfer.credit.mode, transfer.credit.currency] += transfer.amount.minor
            sums[transfer.debit.mode, transfer.debit.currency] -= transfer.amount.minor
        yield from ({"currency": currency, "sum": total} for (_, currency), total in sums.items() if total)

    def _amiss(self, *, effective: bool) -> Iterator[Row]:
        """Transfers that the payments call for and that are not there, or the other way round."""
        due = {line for payment in self._payments(effective=effective) for line in _due(payment)}
        booked = {
            (
                transfer.idem_key,
                transfer.about,
                _place(transfer.debit),
                _place(transfer.credit),
                transfer.amount,
                transfer.debit.mode,
                transfer.channel_date,
            )
            for transfer in self._transfers()
            if transfer.fact == ("payment" if effective else "payment_held")
        }
        yield from ({"what": "not booked", "line": line} for line in sorted(due - booked))
        yield from ({"what": "booked amiss", "line": line} for line in sorted(booked - due))

    def _confirmed_by_the_channel(self) -> Iterator[Row]:
        notices, attempts = self._tables.notices.committed, self._tables.attempts.committed
        for payment in self._tables.payments.committed.values():
            kind, _, name = payment.evidence.partition(":")
            notice, asked = notices.get((payment.account_id, name)), attempts.get(name)
            by_notice = kind == "notice" and notice is not None and notice.outcome in ("confirmed", "held")
            by_query = kind == "query" and asked is not None and asked.number == payment.number
            if not (by_notice or (by_query and asked is not None and asked.account_id == payment.account_id)):
                yield {"what": "no evidence", "payment": payment.id}
            if payment.unattributed is None and not self._fits(payment):
                yield {"what": "does not fit its order", "payment": payment.id}
        paid = {payment.order_id for payment in self._payments(effective=True)}
        paid |= {item.order_id for item in self._tables.suspense.committed.values()}
        for order_id, row in self._tables.orders.committed.items():
            if row.order.paid and order_id not in paid:
                yield {"what": "paid without a payment", "order": order_id}
        for refund in self._tables.refunds.committed.values():
            kind, _, name = (refund.evidence or "").partition(":")
            told = notices.get((refund.account_id, name)) if kind == "notice" else None
            known = told is not None and told.outcome in ("refund", "confirmed", "held")
            if refund.accepted_at and not (known or (kind in ("answer", "query") and name == refund.id)):
                yield {"what": "a refund without evidence", "refund": refund.id}

    def _fits(self, payment: ChannelPayment) -> bool:
        attempt = self._tables.attempts.committed.get(payment.attempt_id or "")
        row = self._tables.orders.committed.get(payment.order_id or "")
        if attempt is None or row is None:
            return False
        order = row.order
        owner = (payment.merchant_id, payment.mode)
        return (
            (attempt.order_id, attempt.account_id, attempt.number) == (order.id, payment.account_id, payment.number)
            and attempt.fund_mode == payment.fund_mode
            and payment.total == attempt.amount == order.amount == order.paid
            and owner == (attempt.merchant_id, attempt.mode) == (order.merchant_id, order.mode)
            and (order.status, attempt.status) == (OrderStatus.PAID, AttemptStatus.SUCCEEDED)
        )

    def _held(self) -> Iterator[Row]:
        yield from self._amiss(effective=False)
        items = {item.payment_id: item for item in self._tables.suspense.committed.values()}
        gone = self._gone()
        open_: Counter[str] = Counter()
        for payment in self._tables.payments.committed.values():
            item = items.get(payment.id)
            held = item and (item.reason, item.amount, item.account_id, item.mode)
            want = (payment.unattributed, payment.received, payment.account_id, payment.mode)
            if held != (None if payment.unattributed is None else want):
                yield {"what": "not in the queue", "payment": payment.id}
            waits = item is not None and item.status in (SuspenseStatus.OPEN, SuspenseStatus.REFUNDING)
            if item is not None and waits and payment.fund_mode is FundMode.COLLECT:
                open_[item.account_id] += item.amount.minor - gone[item.id]
            if item is not None and not self._follows(item, gone[item.id]):
                yield {"what": "not what its refunds come to", "item": item.id, "status": item.status}
        for transfer in self._transfers():
            open_[transfer.credit.owner] -= transfer.amount.minor if transfer.credit.kind == "SUS" else 0
            open_[transfer.debit.owner] += transfer.amount.minor if transfer.debit.kind == "SUS" else 0
        yield from (
            {"what": "items differ from the balance", "account": one, "by": by} for one, by in open_.items() if by
        )

    def _gone(self) -> Counter[str]:
        """What the channels have taken of each item for refunds."""
        gone: Counter[str] = Counter()
        for refund in self._tables.refunds.committed.values():
            if refund.item_id is not None and refund.debited:
                gone[refund.item_id] += refund.debit.minor
        return gone

    def _follows(self, item: SuspenseItem, gone: int) -> bool:
        mine = [each for each in self._tables.refunds.committed.values() if each.item_id == item.id and not each.void]
        own = any(each.origin == "suspense" for each in mine)
        if item.status is SuspenseStatus.OPEN:
            return gone < item.amount.minor and not own
        if item.status is SuspenseStatus.REFUNDING:
            return gone == item.amount.minor or own
        if item.status is SuspenseStatus.REFUNDED:
            return gone == item.amount.minor or item.reason == "reversed"
        return gone == 0 if item.status is SuspenseStatus.ATTRIBUTED else gone <= item.amount.minor

    def _refunds(self) -> Iterator[Row]:
        sums: Counter[tuple[str | None, bool]] = Counter()
        for refund in self._tables.refunds.committed.values():
            if refund.item_id is None and not refund.void:
                sums[refund.order_id, refund.status is RefundStatus.SUCCEEDED] += refund.amount.minor
        for row in self._tables.orders.committed.values():
            order = row.order
            refunding = min(order.paid.minor, sums[order.id, False])
            refunded = min(order.paid.minor - refunding, sums[order.id, True])
            if (order.refunding.minor, order.refunded.minor) != (refunding, refunded):
                yield {"what": "not what its refunds come to", "order": order.id}
            if order.refunded + order.refunding > order.paid:
                yield {"what": "refunded more than paid", "order": order.id}
        yield from self._moved()

    def _moved(self) -> Iterator[Row]:
        """Each refund and each item has moved what it should have by now, credits minus debits by account."""
        booked: Counter[tuple[str, str, str]] = Counter()
        for transfer in self._transfers():
            if transfer.about.startswith(("ref_", "sus_")):
                booked[transfer.about, transfer.credit.kind, transfer.credit.owner] += transfer.amount.minor
                booked[transfer.about, transfer.debit.kind, transfer.debit.owner] -= transfer.amount.minor
        due: Counter[tuple[str, str, str]] = Counter()
        for refund in self._tables.refunds.committed.values():
            for kind, net in _refund_lines(refund):
                due[refund.id, kind, _owner(kind, refund.account_id, refund.merchant_id)] += net
        gone = self._gone()
        for item in self._tables.suspense.committed.values():
            payment = self._tables.payments.committed[item.payment_id]
            row = self._tables.orders.committed.get(item.order_id) if item.order_id else None
            for kind, net in _item_lines(item, payment, gone[item.id]):
                due[item.id, kind, _owner(kind, item.account_id, row.order.merchant_id if row else "")] += net
        for line in sorted(set(due) | set(booked)):
            if due[line] != booked[line]:
                yield {"what": "booked amiss", "line": line, "due": due[line], "booked": booked[line]}

    def _below_zero(self) -> Iterator[Row]:
        balances: Counter[Account] = Counter()
        for transfer in self._transfers():
            balances[transfer.credit] += transfer.amount.minor
            balances[transfer.debit] -= transfer.amount.minor
        for account, balance in balances.items():
            if account.kind in ("MP", "MA", "MF", "SUS") and balance < 0:
                yield {"account": _place(account), "balance": balance}

    def _rewritten(self) -> Iterator[Row]:
        """No right can be taken from a Python object: what an earlier call has seen must still be there, unchanged."""
        tables = self._tables
        kept: list[tuple[str, Mapping[Hashable, object]]] = [
            ("transfer", tables.transfers.committed),
            ("event", tables.events.committed),
            ("delivery_try", tables.tries.committed),
            ("notice", tables.notices.committed),
            ("channel_payment", tables.payments.committed),
        ]
        for name, committed in kept:
            seen = self._seen.setdefault(name, {})
            yield from ({"table": name, "row": pk} for pk, row in seen.items() if committed.get(pk) is not row)
            seen.update(committed)

    def _entries(self) -> Iterator[Row]:
        due = Counter(line for entry in self._tables.entries.committed.values() for line in _entry_lines(entry))
        facts = {fact for fact, _, _ in _ENTRIES.values()} - {"bank_arrived"}
        booked = Counter(
            (each.about, each.fact, str(each.debit.kind), str(each.credit.kind), each.amount.minor)
            for each in self._transfers()
            if each.about.startswith("ent_") or each.fact in facts
        )
        yield from ({"what": "not booked", "line": line} for line in (due - booked))
        yield from ({"what": "booked amiss", "line": line} for line in (booked - due))

    def _closed(self) -> Iterator[Row]:
        sums: Counter[Hashable] = Counter()
        last: dict[int, int] = {}
        for row in sorted(self._tables.figures.committed.values(), key=lambda row: row.day):
            if row.opening != last.get(row.account.id, 0):
                yield {"what": "opened amiss", "account": row.account.id, "day": row.day}
            last[row.account.id] = row.closing
            sums[row.day, row.account.mode, row.account.currency] += row.credits - row.debits
        yield from ({"what": "made or lost", "day": key} for key, rest in sums.items() if rest)

    def _rolled_up(self) -> Iterator[Row]:
        cursor = self._tables.balance_cursor.committed.get(True, BalanceCursor())
        sums: Counter[int] = Counter()
        for row in self._tables.transfers.committed.values():
            if (row.xid, row.row) <= (cursor.xid, cursor.row):
                sums[row.transfer.credit.id] += row.transfer.amount.minor
                sums[row.transfer.debit.id] -= row.transfer.amount.minor
        for snapshot in self._tables.snapshots.committed.values():
            sums[snapshot.account_id] -= snapshot.balance
        yield from ({"what": "rolled up amiss", "account": account} for account, rest in sums.items() if rest)

    def _fees(self) -> Iterator[Row]:
        parts: Counter[tuple[str, str]] = Counter()
        for transfer in self._transfers():
            if transfer.fact == "payment":
                parts[transfer.about, transfer.idem_key.rpartition(":")[2]] += transfer.amount.minor
        for payment in self._payments(effective=True):
            net, fee = parts[payment.id, "net"], parts[payment.id, "fee"]
            if payment.received.minor != net + (fee if payment.fund_mode is FundMode.COLLECT else 0):
                yield {"what": "fee and net are not what was received", "payment": payment.id}
            attempt = self._tables.attempts.committed.get(payment.attempt_id or "")
            if attempt is not None and attempt.terms.fee_plan.fee(payment.received) != payment.fee:
                yield {"what": "not the fee agreed", "payment": payment.id}
            own = [each for each in self._tables.refunds.committed.values() if each.payment_id == payment.id]
            own = [each for each in own if each.item_id is None and not each.void]
            whole = sum(each.amount.minor for each in own) == payment.total.minor
            came_back = sum(each.debit.minor for each in own), sum(each.share.minor for each in own)
            kept = attempt is not None and attempt.terms.fee_plan.kept
            if kept and any(each.share for each in own):
                yield {"what": "a kept fee went back", "payment": payment.id}
            if whole and came_back != (payment.received.minor, 0 if kept else payment.fee.minor):
                yield {"what": "not the whole fee came back with the whole payment", "payment": payment.id}

    # ── Liveness and delivery ────────────────────────────────────────────────────────────────────────────────────────

    def _histories(self) -> Iterator[Row]:
        told = Counter(row.event.object_id for row in self._tables.events.committed.values())
        stored = {row.order.id: row.order.revision for row in self._tables.orders.committed.values()}
        stored |= {attempt.id: attempt.revision for attempt in self._tables.attempts.committed.values()}
        stored |= {refund.id: refund.revision for refund in self._tables.refunds.committed.values()}
        stored |= {settlement.id: settlement.revision for settlement in self._tables.settlements.committed.values()}
        about = [id_ for id_ in told if id_.startswith(("ord_", "att_", "ref_", "stl_"))]
        for id_ in [*stored, *(id_ for id_ in about if id_ not in stored)]:
            if stored.get(id_, -1) != told[id_]:
                yield {"id": id_, "revision": stored.get(id_), "events": told[id_]}

    def _notices(self) -> Iterator[Row]:
        payments = {(each.account_id, each.evidence): each for each in self._tables.payments.committed.values()}
        for notice in self._tables.notices.committed.values():
            payment = payments.get((notice.account_id, f"notice:{notice.notice.id}"))
            follows = payment is not None and (payment.unattributed is None) == (notice.outcome == Outcome.CONFIRMED)
            if notice.outcome not in set(Outcome) or (notice.outcome in ("confirmed", "held") and not follows):
                yield {"notice": notice.notice.id, "outcome": notice.outcome}

    def _announced(self) -> Iterator[Row]:
        now, tables = self._clock.now(), self._tables
        sent = {(each.event_id, each.endpoint_id) for each in tables.deliveries.committed.values()}
        for event in [row.event for row in tables.events.committed.values() if row.event.announced]:
            if event.id in tables.outbox.committed:
                if event.at < now - self._lag:
                    yield {"what": "waits to be fanned out", "event": event.id}
                continue
            for endpoint in tables.endpoints.committed.values():
                theirs = (endpoint.merchant_id, endpoint.mode) == (event.merchant_id, event.mode)
                wanted = (
                    theirs
                    and (endpoint.enabled_at or endpoint.created_at) <= event.at
                    and endpoint.target(event) is not None
                )
                if wanted and (event.id, endpoint.id) not in sent:
                    yield {"what": "not sent", "event": event.id, "endpoint": endpoint.id}
        yield from self._underway()

    def _underway(self) -> Iterator[Row]:
        now, tables = self._clock.now(), self._tables
        for delivery in tables.deliveries.committed.values():
            answers = [each.answer for each in tables.tries.committed.values() if each.delivery_id == delivery.id]
            if delivery.status is DeliveryStatus.DUE:
                circuit = tables.circuits.committed.get(delivery.lane)
                tried = circuit is not None and circuit.failed_at > now - self._lag - LONGEST_PAUSE - LEASE
                if not tried and (delivery.next_at is None or delivery.next_at < now - self._lag):
                    yield {"what": "due and not tried", "delivery": delivery.id}
            elif delivery.status is DeliveryStatus.DELIVERED and not any(answer.accepted for answer in answers):
                yield {"what": "delivered without a try", "delivery": delivery.id}
            elif delivery.status is DeliveryStatus.EXHAUSTED and not answers:
                yield {"what": "exhausted without a try", "delivery": delivery.id}

    def _unfinished(self) -> Iterator[Row]:
        late = self._clock.now() - self._settling
        for row in self._tables.orders.committed.values():
            if row.order.status is OrderStatus.PENDING and row.order.expires_at < late:
                yield {"what": "order still pending", "order": row.order.id}
        for attempt in self._tables.attempts.committed.values():
            end = attempt.expires_at + POLL_END
            if attempt.live and end < late:
                yield {"what": "attempt without an end", "attempt": attempt.id}
            elif attempt.live and end > self._clock.now() and (attempt.next_at is None or attempt.next_at < late):
                yield {"what": "attempt nobody asks about", "attempt": attempt.id}

        for refund in self._tables.refunds.committed.values():
            if refund.status in PURSUED and (refund.next_at is None or refund.next_at < late):
                yield {"what": "refund nobody asks about", "refund": refund.id}

    def _published_twice(self) -> Iterator[Row]:
        events = [row.event for row in self._tables.events.committed.values() if row.event.announced]
        events = [event for event in events if not event.object_id.startswith("whe_")]  # may be given up again
        for (about, type_), times in Counter((event.object_id, event.type) for event in events).items():
            if times > 1:
                yield {"what": "published twice", "object": about, "type": type_}
        pairs = Counter((each.event_id, each.endpoint_id) for each in self._tables.deliveries.committed.values())
        yield from ({"what": "two deliveries", "event": pair[0]} for pair, times in pairs.items() if times > 1)

    # ── Inside ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _transfers(self) -> Iterator[Any]:
        return (row.transfer for row in self._tables.transfers.committed.values())

    def _payments(self, *, effective: bool) -> Iterator[ChannelPayment]:
        payments = self._tables.payments.committed.values()
        return (payment for payment in payments if (payment.unattributed is None) == effective)


def _due(payment: ChannelPayment) -> Iterator[tuple[Any, ...]]:
    amounts = {
        "net": payment.received - payment.fee if payment.fund_mode is FundMode.COLLECT else payment.received,
        "fee": payment.fee,
        "held": payment.received,
    }
    for part, debit, credit in _RULES[payment.fund_mode, payment.unattributed is None]:
        key = f"payment:{payment.account_id}:{payment.transaction_id}:{part}"
        if amounts[part]:
            ends = (_owned(payment, debit), _owned(payment, credit))
            yield key, payment.id, *ends, amounts[part], payment.mode, shanghai_day(payment.paid_at)


def _refund_lines(refund: Refund) -> Iterator[tuple[str, int]]:
    debit, share = refund.debit.minor, refund.share.minor
    if refund.debited:
        if refund.fund_mode is FundMode.DIRECT:
            yield from (("DH", debit), ("DO", -debit), ("SFD", share), ("FI", -share))
        else:
            yield "CR", debit
            if refund.item_id is not None:
                yield "SUS", -debit
    if refund.fund_mode is FundMode.COLLECT and refund.item_id is None and not refund.void:
        draws = refund.draws
        yield from (("MP", -draws.pending.minor), ("MA", -draws.available.minor), ("MD", -draws.debt.minor))
        yield from (("FI", -share), ("MR", 0 if refund.debited else debit))


def _item_lines(item: SuspenseItem, payment: ChannelPayment, gone: int) -> Iterator[tuple[str, int]]:
    amount, fee = item.amount.minor, item.fee.minor
    collect = payment.fund_mode is FundMode.COLLECT
    if item.status is SuspenseStatus.ATTRIBUTED:
        yield from (("SUS", -amount), ("MP", amount - fee)) if collect else (("SFD", -fee),)
        yield "FI", fee
    if item.status is SuspenseStatus.WRITTEN_OFF and collect:
        yield from (("SUS", gone - amount), ("ADJ", amount - gone))


def _entry_lines(entry: AccountEntry) -> Iterator[tuple[str, str, str, str, int]]:
    yield (entry.id, *_ENTRIES[entry.kind], entry.amount.minor)
    if entry.repaid:
        yield entry.id, "debt_repaid", "MA", "MD", entry.repaid.minor


def _owner(kind: str, account_id: str, merchant_id: str) -> str:
    if kind in ("CR", "SUS", "DH"):
        return account_id
    return PLATFORM if kind in ("FI", "ADJ") else merchant_id


def _owned(payment: ChannelPayment, kind: str) -> str:
    owner = {"FI": PLATFORM, "CR": payment.account_id, "SUS": payment.account_id, "DH": payment.account_id}
    return f"{kind}/{owner.get(kind, payment.merchant_id)}/{'BASIC' if kind == 'CR' else ''}"


def _place(account: Account) -> str:
    return f"{account.kind}/{account.owner}/{account.fund}"
