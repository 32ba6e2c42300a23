"""Two people for one action: what is proposed, who may decide, and that it happens once."""

from collections.abc import Mapping
from typing import Any

import pytest

from application.ports.storage import UnitOfWork
from domain.actors import Actor, Origin
from domain.errors import Conflict
from domain.permissions import ADMINISTRATOR, AUDITOR, FINANCE, OPERATIONS, Realm
from domain.proposals import OPEN_FOR, Proposal, ProposalStatus
from tests.unit.adapters.http.office import Office, Person
from tests.unit.adapters.http.shop import code_of


async def rename(uow: UnitOfWork, proposal: Proposal, actor: Actor) -> Mapping[str, Any]:
    """Stands for any action: it changes something in the deciding unit of work."""
    if proposal.payload.get("refuse"):
        raise Conflict("it is too late for that", code="conflict")
    await uow.audit.add(actor.did("thing.renamed", "thing", id=f"aud_{proposal.id}", at=proposal.created_at))
    return {"name": proposal.payload["name"]}


@pytest.fixture
def office() -> Office:
    return Office(executors={"thing.rename": rename})


async def proposed(office: Office, maker: Person, permission: str = "audit.read", **payload: Any) -> Proposal:
    """Somebody's proposal, as a use case would make it."""
    signed = await office.parts.authenticate(Realm.PLATFORM, maker.token, Origin("203.0.113.7", "tests", "req-1"))
    return await office.propose(
        signed.actor, "thing.rename", {"name": "x"} | payload, summary="Rename the thing", permission=permission
    )


async def test_another_who_holds_the_permission_approves_and_it_is_done(office: Office) -> None:
    maker, checker = [await (await office.person(name, ADMINISTRATOR)).enter() for name in ("mina", "noah")]
    proposal = await proposed(office, maker)
    (queued,) = (await checker.call("GET", "/proposals?status=proposed")).json()["data"]
    assert (queued["id"], queued["made_by_name"], queued["payload"]) == (proposal.id, "Mina", {"name": "x"})
    answer = await checker.call("POST", f"/proposals/{proposal.id}/approve")
    assert answer.status_code == 200, answer.text
    assert (answer.json()["status"], answer.json()["result"]) == ("executed", {"name": "x"})
    assert answer.json()["decided_by"] == checker.id
    assert (await checker.call("GET", "/proposals?status=proposed")).json() == {"data": [], "next_cursor": None}
    assert office.did()[-3:] == ["proposal.made", "thing.renamed", "proposal.executed"]


async def test_nobody_decides_on_his_own(office: Office) -> None:
    maker = await (await office.person("mina", ADMINISTRATOR)).enter()
    proposal = await proposed(office, maker)
    for verb, body in (("approve", None), ("reject", {"reason": "no"})):
        rest = () if body is None else (body,)
        answer = await maker.call("POST", f"/proposals/{proposal.id}/{verb}", *rest)
        assert (answer.status_code, code_of(answer)) == (403, "not_on_yourself")
    assert office.stored()["proposal"][proposal.id] == proposal


async def test_who_may_decide_but_lacks_the_permission_that_it_names_is_refused(office: Office) -> None:
    maker, checker = [await (await office.person(name, role)).enter() for name, role in
                      (("mina", ADMINISTRATOR), ("noah", FINANCE))]  # fmt: skip
    proposal = await proposed(office, maker, "operators.create")
    answer = await checker.call("POST", f"/proposals/{proposal.id}/approve")
    assert (answer.status_code, code_of(answer)) == (403, "permission_missing")
    assert office.stored()["proposal"][proposal.id] == proposal


async def test_deciding_needs_a_fresh_second_factor(office: Office) -> None:
    maker, checker = [await (await office.person(name, ADMINISTRATOR)).enter() for name in ("mina", "noah")]
    proposal = await proposed(office, maker)
    office.clock.advance(301)
    answer = await checker.call("POST", f"/proposals/{proposal.id}/approve")
    assert (answer.status_code, code_of(answer)) == (403, "step_up_required")
    proof = await checker.call("POST", "/sessions/current/prove", {"code": checker.code()})
    checker.token = proof.json()["token"]
    assert (await checker.call("POST", f"/proposals/{proposal.id}/approve")).status_code == 200


@pytest.mark.parametrize("first", ["approve", "reject", "withdraw"])
async def test_what_is_decided_stays_decided(office: Office, first: str) -> None:
    maker, checker = [await (await office.person(name, ADMINISTRATOR)).enter() for name in ("mina", "noah")]
    proposal = await proposed(office, maker)
    verbs: dict[str, tuple[Person, Any]] = {
        "approve": (checker, None), "reject": (checker, {"reason": "no"}), "withdraw": (maker, None)
    }  # fmt: skip
    who, body = verbs[first]
    path = f"/proposals/{proposal.id}"
    assert (await who.call("POST", f"{path}/{first}", *(() if body is None else (body,)))).status_code == 200
    for verb, (person, content) in verbs.items():
        answer = await person.call("POST", f"{path}/{verb}", *(() if content is None else (content,)))
        assert (answer.status_code, code_of(answer)) == (409, "proposal_decided")
    assert office.did().count("thing.renamed") == (1 if first == "approve" else 0)


async def test_only_its_maker_withdraws_a_proposal(office: Office) -> None:
    maker, checker = [await (await office.person(name, ADMINISTRATOR)).enter() for name in ("mina", "noah")]
    proposal = await proposed(office, maker)
    assert (await checker.call("POST", f"/proposals/{proposal.id}/withdraw")).status_code == 403
    assert (await maker.call("POST", f"/proposals/{proposal.id}/withdraw")).json()["status"] == "withdrawn"


async def test_a_rejection_has_a_reason_that_its_maker_can_read(office: Office) -> None:
    maker, checker = [await (await office.person(name, ADMINISTRATOR)).enter() for name in ("mina", "noah")]
    proposal = await proposed(office, maker)
    assert (await checker.call("POST", f"/proposals/{proposal.id}/reject", {"reason": ""})).status_code == 422
    await checker.call("POST", f"/proposals/{proposal.id}/reject", {"reason": "户名不符"})
    shown = (await maker.call("GET", f"/proposals/{proposal.id}")).json()
    assert (shown["status"], shown["reason"], shown["decided_by_name"]) == ("rejected", "户名不符", "Noah")


async def test_what_its_executor_refuses_stays_open_and_nothing_has_happened(office: Office) -> None:
    maker, checker = [await (await office.person(name, ADMINISTRATOR)).enter() for name in ("mina", "noah")]
    proposal = await proposed(office, maker, refuse=True)
    answer = await checker.call("POST", f"/proposals/{proposal.id}/approve")
    assert (answer.status_code, code_of(answer)) == (409, "conflict")
    assert office.stored()["proposal"][proposal.id].status is ProposalStatus.PROPOSED
    assert office.did()[-1] == "proposal.made"


async def test_a_proposal_runs_out(office: Office) -> None:
    maker, checker = [await (await office.person(name, ADMINISTRATOR)).enter() for name in ("mina", "noah")]
    proposal = await proposed(office, maker)
    office.clock.advance(OPEN_FOR.total_seconds())
    await checker.enter()
    answer = await checker.call("POST", f"/proposals/{proposal.id}/approve")
    assert (answer.status_code, code_of(answer)) == (409, "proposal_expired")
    assert await office.expire_proposals() == 1
    assert await office.expire_proposals() == 0
    assert (await checker.call("GET", f"/proposals/{proposal.id}")).json()["status"] == "expired"
    answer = await checker.call("POST", f"/proposals/{proposal.id}/approve")
    assert (answer.status_code, code_of(answer)) == (409, "proposal_expired")


async def test_approving_again_under_the_same_key_repeats_the_answer(office: Office) -> None:
    maker, checker = [await (await office.person(name, ADMINISTRATOR)).enter() for name in ("mina", "noah")]
    proposal = await proposed(office, maker)
    key = {"Idempotency-Key": "k-1"}
    first, second = [await checker.call("POST", f"/proposals/{proposal.id}/approve", headers=key) for _ in range(2)]
    assert (first.status_code, second.status_code) == (200, 200)
    assert (first.content, second.headers["idempotent-replayed"]) == (second.content, "true")


async def test_proposals_are_listed_newest_first_in_pages(office: Office) -> None:
    maker, looker = [await (await office.person(name, role)).enter() for name, role in
                     (("mina", OPERATIONS), ("noah", AUDITOR))]  # fmt: skip
    made = []
    for _ in range(5):
        office.clock.advance(1)
        made.append((await proposed(office, maker)).id)
    seen, cursor = [], ""
    for _ in range(3):
        page = (await looker.call("GET", f"/proposals?limit=2{cursor}")).json()
        seen += [each["id"] for each in page["data"]]
        cursor = f"&cursor={page['next_cursor']}"
    assert (seen, cursor) == (made[::-1], "&cursor=None")
    answer = await looker.call("GET", "/proposals?cursor=abc")
    assert (answer.status_code, code_of(answer)) == (422, "cursor_invalid")
