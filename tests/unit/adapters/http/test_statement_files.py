"""Operators hand in bills as files: kept with who brought them, matched, or refused with the line."""

import asyncio
import gzip
import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import httpx
import pytest

from adapters.inbound.http.admin.statement_files import MOST_FILE
from application.ports.progress import Step
from domain.channels import Method
from domain.payments import ChannelPayment
from domain.permissions import FINANCE, RISK
from domain.reconciliation import DiscrepancyStatus
from domain.statements import Movement, StatementFile
from domain.times import shanghai_day
from tests.fakes.progress import FakeProgress
from tests.fakes.statements import written
from tests.unit.adapters.http.office import Office
from tests.unit.adapters.http.shop import code_of
from tests.unit.application.statements import flow, line_of


class Desk:
    """An office the day after a merchant was paid twice, and somebody with the bills in hand."""

    async def open(self, *roles: str) -> "Desk":
        self.office = Office()
        house = self.office.house
        merchant = await house.merchant()
        self.payments: list[ChannelPayment] = []
        for no in range(2):
            order = await house.paid(merchant, Method.ALIPAY_QR, f"A-{no}")
            self.payments += await house.payments(order)
        self.account_id, self.day = self.payments[0].account_id, self.payments[0].channel_date
        self.office.clock.advance(86_400)
        self.mina = await (await self.office.person("mina", *(roles or (FINANCE,)))).enter()
        self.bill = written([line_of(payment, n) for n, payment in enumerate(self.payments, start=1)])
        return self

    @property
    def path(self) -> str:
        return f"/statement-days/{self.account_id}/{self.day}"

    async def hand_in(self, content: bytes, query: str = "kind=trade", **rest: Any) -> httpx.Response:
        return await self.mina.call("POST", f"{self.path}/files?{query}", content, **rest)

    async def file(self, bill: str = "trade") -> StatementFile | None:
        async with self.office.house.database.unit_of_work() as uow:
            return await uow.bills.file(self.account_id, self.day, bill)


async def test_a_bill_that_is_handed_in_is_kept_with_who_brought_it_and_matched_at_once() -> None:
    desk = await Desk().open()
    answer = await desk.hand_in(desk.bill)
    sha256 = hashlib.sha256(desk.bill).hexdigest()
    told = answer.json()
    assert (answer.status_code, told["status"], told["matched"], told["files"]) == (
        200,
        "matched",
        2,
        {"trade": sha256},
    )
    kept = await desk.file()
    assert kept is not None
    assert (kept.sha256, kept.size, kept.lines) == (sha256, len(desk.bill), 2)
    assert kept.provenance == f"upload:{desk.mina.id}"
    (row,) = [
        row.record
        for row in desk.office.house.database.tables.audit.committed.values()
        if row.record.action == "statement.uploaded"
    ]
    assert (row.actor.id, row.after) == (
        desk.mina.id,
        {"account_id": desk.account_id, "day": str(desk.day), "bill": "trade", "sha256": sha256},
    )


async def test_a_day_tells_how_many_lines_of_which_file_were_read_and_how_many_agree() -> None:
    desk = await Desk().open()
    assert code_of(await desk.mina.call("GET", desk.path)) == "not_found"
    lost = written([line_of(desk.payments[0])])
    await desk.hand_in(desk.bill)
    await desk.hand_in(lost)
    told = (await desk.mina.call("GET", desk.path)).json()
    (bill,) = told["bills"]
    assert (told["matched"], bill["lines"], bill["kind"], bill["fund"]) == (1, 1, "trade", "")
    assert (bill["sha256"], bill["size"]) == (hashlib.sha256(lost).hexdigest(), len(lost))
    assert bill["provenance"] == f"upload:{desk.mina.id}"


async def test_a_day_tells_how_far_a_run_of_it_is() -> None:
    desk = await Desk().open()
    await desk.hand_in(desk.bill)
    assert (await desk.mina.call("GET", desk.path)).json()["progress"] is None, "the run is over"
    step = Step(bill="trade", lines=5_000, taken=1 << 20, size=1 << 33)
    await desk.office.progress.tell(desk.account_id, desk.day, step)
    told = (await desk.mina.call("GET", desk.path)).json()
    assert told["progress"] == {"bill": "trade", "lines": 5_000, "taken": 1 << 20, "size": 1 << 33, "matched": 0}


async def test_a_day_that_is_not_open_yet_tells_how_far_its_first_file_is() -> None:
    desk = await Desk().open()
    progress, seen = desk.office.progress, list[Any]()

    async def tell(account_id: str, day: date, step: Step | None) -> None:
        await FakeProgress.tell(progress, account_id, day, step)
        if step is not None and step.bill:
            seen.append(await asyncio.create_task(desk.mina.call("GET", desk.path)))

    progress.tell = tell  # type: ignore[method-assign]
    answer = await desk.hand_in(desk.bill + b"torn")
    assert code_of(answer) == "bill_invalid"
    told = seen[0].json()
    assert (told["status"], told["bills"], told["mode"]) == ("awaiting_bill", [], "test")
    assert (told["progress"]["bill"], told["progress"]["size"]) == ("trade", len(desk.bill) + 4)
    assert code_of(await desk.mina.call("GET", desk.path)) == "not_found", "a refused file leaves no day behind"


async def test_sent_twice_it_is_taken_in_once_with_a_key_and_without() -> None:
    desk = await Desk().open()
    key = {"Idempotency-Key": "bill-1"}
    first = await desk.hand_in(desk.bill, headers=key)
    again = await desk.hand_in(desk.bill, headers=key)
    assert (again.content, again.headers["Idempotent-Replayed"]) == (first.content, "true")
    other = await desk.hand_in(desk.bill + b"\n", headers=key)
    assert (other.status_code, code_of(other)) == (422, "idempotency_key_reused")
    before = desk.office.stored()
    assert (await desk.hand_in(desk.bill)).json() == first.json()
    assert desk.office.stored() == before


async def test_a_file_that_cannot_be_believed_is_refused_with_the_line_and_changes_nothing() -> None:
    desk = await Desk().open()
    before = desk.office.stored()
    answer = await desk.hand_in(desk.bill + b"torn")
    assert (answer.status_code, code_of(answer)) == (422, "bill_invalid")
    assert answer.json()["detail"] == "line 3: not a line of this channel"
    assert desk.office.stored() == before


async def test_a_gzipped_bill_is_the_bill_that_is_in_it() -> None:
    desk = await Desk().open()
    told = (await desk.hand_in(gzip.compress(desk.bill))).json()
    assert (told["matched"], told["files"]) == (2, {"trade": hashlib.sha256(desk.bill).hexdigest()})
    kept = await desk.file()
    assert kept is not None
    assert kept.size == len(desk.bill)
    before = desk.office.stored()
    assert (await desk.hand_in(desk.bill)).json() == told
    assert desk.office.stored() == before, "plain or packed, it is the file that is in force"


@pytest.mark.parametrize(
    ("change", "code", "detail"),
    [
        (lambda bill: gzip.compress(bill)[:-4], "bill_invalid", "the gzip ends too early"),
        (lambda bill: gzip.compress(bill) + b"x", "bill_invalid", "something after the end of the gzip"),
        (lambda bill: gzip.compress(bill)[:-8] + bytes(8), "bill_invalid", "the gzip is torn or was changed"),
        (lambda bill: gzip.compress(bill + b"torn"), "bill_invalid", "line 3: not a line of this channel"),
        (
            lambda bill: gzip.compress(bill + b"\n" * (65 << 20), 1),
            "bill_too_large",
            "the bill is too large once it is unpacked",
        ),
    ],
    ids=["torn", "more", "changed", "torn inside", "bomb"],
)
async def test_a_gzip_that_holds_no_bill_is_refused_and_changes_nothing(
    change: Callable[[bytes], bytes], code: str, detail: str
) -> None:
    desk = await Desk().open()
    before = desk.office.stored()
    answer = await desk.hand_in(change(desk.bill))
    assert (answer.status_code, code_of(answer), answer.json()["detail"]) == (422, code, detail)
    assert desk.office.stored() == before


async def test_a_closed_day_stays_closed_for_the_same_file_and_is_reopened_by_another() -> None:
    desk = await Desk().open()
    await desk.hand_in(desk.bill)
    assert (await desk.mina.call("POST", f"{desk.path}/close")).json()["status"] == "closed"
    assert (await desk.hand_in(desk.bill)).json()["status"] == "closed"
    lost = written([line_of(desk.payments[0])._replace(fee=40), line_of(desk.payments[1], 2)])
    told = (await desk.hand_in(lost)).json()
    assert (told["status"], told["differences"]) == ("with_differences", 1)
    assert told["note"] == "reopened by another bill: 1 lines agree (2 before), differences: 1 came, 0 went"
    async with desk.office.house.database.unit_of_work() as uow:
        (found,) = await uow.bills.discrepancies(desk.account_id, desk.day)
    assert found.status is DiscrepancyStatus.OPEN


async def test_a_discrepancy_is_shown_with_both_sides_beside_each_other() -> None:
    desk = await Desk().open()
    one, other = desk.payments
    await desk.hand_in(written([line_of(one)._replace(fee=40), line_of(other, 2)]))
    moved = [replace(flow(1, Movement.PAYMENT, 10_000, 10_000, one.transaction_id), number=one.number)]
    await desk.hand_in(written(moved), "kind=fund&fund=BASIC")
    desk.office.clock.advance(3 * 86_400 + 5)
    mina = await (await desk.office.person("mira", FINANCE)).enter()
    (found,) = (await mina.call("GET", "/discrepancies?kind=fee")).json()["data"]
    shown = (await mina.call("GET", f"/discrepancies/{found['id']}")).json()
    assert {name: shown[name] for name in found} == found
    assert (shown["kind"], shown["amount"], shown["age_days"], shown["owner"]) == ("fee", 2, 3, None)
    assert [(told["number"], told["received"], told["fee"]) for told in shown["theirs"]] == [(one.number, 10_000, 40)]
    assert [(told["id"], told["received"], told["fee"]) for told in shown["ours"]] == [(one.id, 10_000, 38)]
    assert [(told["movement"], told["amount"]) for told in shown["moved"]] == [("payment", 10_000)]
    unknown = await mina.call("GET", "/discrepancies/dis_0")
    assert (unknown.status_code, code_of(unknown)) == (404, "not_found")


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"query": "kind=fund"}, 422, "file_invalid"),
        ({"query": "kind=fund&fund=OTHER"}, 422, "file_invalid"),
        ({"query": "kind=trade&fund=BASIC"}, 422, "file_invalid"),
        ({"query": "kind=other"}, 422, "parameter_invalid"),
        ({"query": "fund=BASIC"}, 422, "file_invalid"),
        ({"headers": {"Content-Type": "application/json"}}, 415, "media_type_unsupported"),
        ({"day": "today"}, 422, "day_not_over"),
        ({"day": "1/1/26"}, 404, "not_found"),
        ({"day": "2026-1-1"}, 422, "day_invalid"),
        ({"account": "cha_0"}, 404, "not_found"),
    ],
)
async def test_what_is_no_bill_of_a_day_says_why(change: dict[str, Any], status: int, code: str) -> None:
    desk = await Desk().open()
    day = change.pop("day", str(desk.day))
    day = str(shanghai_day(desk.office.clock.now())) if day == "today" else day
    account, query = change.pop("account", desk.account_id), change.pop("query", "kind=trade")
    before = desk.office.stored()
    answer = await desk.mina.call("POST", f"/statement-days/{account}/{day}/files?{query}", desk.bill, **change)
    assert (answer.status_code, code_of(answer)) == (status, code), answer.text
    assert desk.office.stored() == before


async def test_more_than_the_call_takes_is_refused_however_it_is_sent() -> None:
    desk = await Desk().open()
    announced = await desk.hand_in(b"x", headers={"Content-Length": str(MOST_FILE + 1)})
    assert (announced.status_code, code_of(announced)) == (413, "body_too_large")
    large = await desk.hand_in(b"\n" * (MOST_FILE + 1))
    assert (large.status_code, code_of(large)) == (413, "body_too_large")
    assert desk.office.stored()["statement_day"] == {}


async def test_a_file_beyond_the_limit_of_other_bodies_is_read() -> None:
    desk = await Desk().open()
    answer = await desk.hand_in(b"x" * (1 << 21))
    assert (answer.status_code, code_of(answer)) == (422, "bill_invalid")


async def test_who_may_not_run_a_day_hands_in_no_bill() -> None:
    desk = await Desk().open(RISK)
    answer = await desk.hand_in(desk.bill)
    assert (answer.status_code, code_of(answer)) == (403, "permission_missing")
