"""Operators and the statement days: look, run, close, and decide in twos what a difference means."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from domain.channels import Mode
from domain.ledger import Account, AccountKind
from domain.permissions import FINANCE, OPERATIONS, RISK
from domain.reconciliation import Difference, DifferenceKind, Discrepancy
from domain.statements import DayStatus, StatementDay
from tests.unit.adapters.http.office import Office
from tests.unit.adapters.http.shop import code_of

DAY = date(2026, 11, 20)  # the office's clock stands at the 22nd


async def open_office(*differences: Difference, status: DayStatus = DayStatus.MATCHED) -> tuple[Office, str]:
    """An office with one statement day of one account of the platform, and these differences in it."""
    office = Office()
    merchant = await office.house.merchant()
    account_id = merchant.account_ids[0]
    day = StatementDay(account_id=account_id, mode=Mode.TEST, day=DAY, status=status, files={"trade": "aa"})
    async with office.house.database.unit_of_work() as uow:
        await uow.bills.open_day(replace(day, differences=len(differences)))
        for n, difference in enumerate(differences):
            await uow.bills.add_discrepancy(
                Discrepancy.of(
                    difference, id=f"dis_{n}", account_id=account_id, mode=Mode.TEST, day=DAY, now=office.clock.now()
                )
            )
    return office, account_id


FEE = Difference(key="fee:payment:PTY1", kind=DifferenceKind.FEE, amount=2, number="PTY1", line_n=1, ours_id="pay_1")
LOST = Difference(key="missing_there:payment:PTY2", kind=DifferenceKind.MISSING_THERE, amount=-10_000, number="PTY2")


async def test_days_are_listed_newest_first_and_page_by_page() -> None:
    office, account_id = await open_office()
    async with office.house.database.unit_of_work() as uow:
        for n in range(1, 4):
            await uow.bills.open_day(StatementDay(account_id=account_id, mode=Mode.TEST, day=DAY - timedelta(days=n)))
    mina = await (await office.person("mina", OPERATIONS)).enter()
    first = (await mina.call("GET", "/statement-days?limit=3")).json()
    assert [day["day"] for day in first["data"]] == ["2026-11-20", "2026-11-19", "2026-11-18"]
    rest = (await mina.call("GET", f"/statement-days?cursor={first['next_cursor']}")).json()
    assert ([day["day"] for day in rest["data"]], rest["next_cursor"]) == (["2026-11-17"], None)
    matched = (await mina.call("GET", "/statement-days?status=matched")).json()["data"]
    assert [(day["day"], day["account_id"], day["files"]) for day in matched] == [
        ("2026-11-20", account_id, {"trade": "aa"})
    ]


async def test_a_day_is_made_due_at_once_and_one_that_was_never_opened_is_opened() -> None:
    office, account_id = await open_office()
    mina = await (await office.person("mina", OPERATIONS)).enter()
    answer = await mina.call("POST", f"/statement-days/{account_id}/2026-11-19/run")
    assert (answer.status_code, answer.json()["status"]) == (202, "awaiting_bill")
    async with office.house.database.unit_of_work() as uow:
        assert (await uow.bills.day(account_id, date(2026, 11, 19))).next_at == office.clock.now()


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/statement-days/{account}/2026-11-22/run", 422, "day_not_over"),
        ("/statement-days/{account}/2026-1-1/run", 422, "day_invalid"),
        ("/statement-days/{account}/yesterday/close", 422, "day_invalid"),
        ("/statement-days/cha_0/2026-11-19/run", 404, "not_found"),
        ("/statement-days/{account}/2026-11-01/close", 404, "not_found"),
    ],
)
async def test_what_cannot_be_run_or_closed_says_why(path: str, status: int, code: str) -> None:
    office, account_id = await open_office()
    mina = await (await office.person("mina", OPERATIONS)).enter()
    answer = await mina.call("POST", path.format(account=account_id))
    assert (answer.status_code, code_of(answer)) == (status, code)


async def test_a_matched_day_is_closed_by_one_person_and_then_nothing_runs_it() -> None:
    office, account_id = await open_office()
    mina = await (await office.person("mina", OPERATIONS)).enter()
    answer = await mina.call("POST", f"/statement-days/{account_id}/2026-11-20/close")
    assert (answer.status_code, answer.json()["status"]) == (200, "closed")
    again = await mina.call("POST", f"/statement-days/{account_id}/2026-11-20/run")
    assert (again.status_code, code_of(again)) == (409, "day_closed")


async def test_a_day_with_open_differences_is_closed_by_two() -> None:
    office, account_id = await open_office(FEE, status=DayStatus.WITH_DIFFERENCES)
    mina = await (await office.person("mina", FINANCE)).enter()
    refused = await mina.call("POST", f"/statement-days/{account_id}/2026-11-20/close")
    assert (refused.status_code, code_of(refused)) == (409, "day_has_differences")
    note = {"note": "the channel corrects it"}
    proposal = (await mina.call("POST", f"/statement-days/{account_id}/2026-11-20/propose-closing", note)).json()
    own = await mina.call("POST", f"/proposals/{proposal['id']}/approve")
    assert own.status_code == 403
    ren = await (await office.person("ren", RISK)).enter()
    approved = await ren.call("POST", f"/proposals/{proposal['id']}/approve")
    assert (approved.status_code, approved.json()["result"]) == (200, {"status": "closed"})
    async with office.house.database.unit_of_work() as uow:
        assert (await uow.bills.day(account_id, DAY)).closed_by == ren.id


async def test_what_the_platform_bears_is_posted_when_the_second_person_approves_and_once() -> None:
    office, account_id = await open_office(LOST, status=DayStatus.WITH_DIFFERENCES)
    mina = await (await office.person("mina", FINANCE)).enter()
    (found,) = (await mina.call("GET", "/discrepancies?status=open")).json()["data"]
    assert (found["kind"], found["amount"], found["remedies"]) == (
        "missing_there", -10_000, ["accept_ours", "write_off"],
    )  # fmt: skip
    body = {"remedy": "write_off", "note": "the channel has lost it"}
    proposals = [(await mina.call("POST", f"/discrepancies/{found['id']}/remedy", body)).json() for _ in range(2)]
    ren = await (await office.person("ren", FINANCE)).enter()
    answers = [await ren.call("POST", f"/proposals/{proposal['id']}/approve") for proposal in proposals]
    assert [answer.status_code for answer in answers] == [200, 409]
    assert code_of(answers[1]) == "discrepancy_settled"
    async with office.house.database.unit_of_work() as uow:
        receivable = Account(AccountKind.CHANNEL_RECEIVABLE, account_id, Mode.TEST, "CNY", "BASIC")
        assert await uow.ledger.balance(receivable) == 10_000
        settled = await uow.bills.discrepancy(found["id"])
        assert (settled.resolved_by, settled.note) == (ren.id, "the channel has lost it")


async def test_a_discrepancy_is_taken_on_handed_over_and_given_back_and_each_is_written_down() -> None:
    office, _ = await open_office(FEE, status=DayStatus.WITH_DIFFERENCES)
    mina = await (await office.person("mina", FINANCE)).enter()
    ren = await (await office.person("ren", OPERATIONS)).enter()
    for owner in (mina.id, mina.id, ren.id, None):
        answer = await mina.call("POST", "/discrepancies/dis_0/owner", {"owner": owner})
        assert (answer.status_code, answer.json()["owner"]) == (200, owner)
        (listed,) = (await mina.call("GET", "/discrepancies")).json()["data"]
        assert listed["owner"] == owner
    async with office.house.database.unit_of_work() as uow:
        records = [one for one in await uow.audit.about("dis_0") if one.action == "discrepancy.owned"]
    assert [(one.before["owner"], one.after["owner"]) for one in records] == [
        (None, mina.id),
        (mina.id, ren.id),
        (ren.id, None),
    ]
    nobody = await mina.call("POST", "/discrepancies/dis_0/owner", {"owner": "opr_0"})
    assert (nobody.status_code, code_of(nobody)) == (404, "not_found")
    cut = await mina.call("POST", "/discrepancies/dis_0/owner", {})
    assert cut.status_code == 400


async def test_what_is_settled_is_nobodys_any_more() -> None:
    office, _ = await open_office(FEE)
    async with office.house.database.unit_of_work() as uow:
        standing = await uow.bills.lock_discrepancy("dis_0")
        await uow.bills.save_discrepancy(standing.vanished(office.clock.now()))
    office.clock.advance(86_400 * 9)
    mina = await (await office.person("mina", FINANCE)).enter()
    answer = await mina.call("POST", "/discrepancies/dis_0/owner", {"owner": mina.id})
    assert (answer.status_code, code_of(answer)) == (409, "discrepancy_settled")
    assert (await mina.call("GET", "/discrepancies/dis_0")).json()["age_days"] == 0, "it ages no longer"


async def test_a_remedy_that_makes_no_sense_there_is_refused_before_anybody_decides() -> None:
    office, _ = await open_office(FEE)
    mina = await (await office.person("mina", FINANCE)).enter()
    answer = await mina.call("POST", "/discrepancies/dis_0/remedy", {"remedy": "write_off", "note": "—"})
    assert (answer.status_code, code_of(answer)) == (409, "remedy_unfit")
    assert (await mina.call("GET", "/proposals")).json()["data"] == []
