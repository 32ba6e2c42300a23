"""Contract of the read models of people and of what they did: pages, filters, cursors."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from application.ports.queries import Page
from domain.errors import InvalidRequest
from domain.permissions import Realm
from domain.proposals import Proposal, ProposalStatus
from domain.users import UserStatus
from tests.contracts.pages import FOREIGN_CURSORS
from tests.contracts.people import ACTOR, done, new_operator, new_user, stored
from tests.contracts.stage import NOW, OnStage, Stage

Ask = Callable[[str | None], Awaitable[Page]]


async def every(ask: Ask) -> list[Any]:
    """All rows, page by page."""
    rows: list[Any] = []
    cursor = None
    for _ in range(20):
        page = await ask(cursor)
        assert len(page.rows) <= 2
        rows += page.rows
        cursor = page.next_cursor
        if cursor is None:
            return rows
    raise AssertionError("the list does not end")


class PeoplePagesContract(OnStage):
    async def test_users_are_listed_by_realm_and_merchant_newest_first(self, stage: Stage) -> None:
        operators = [replace(new_operator(stage, "risk"), status=UserStatus.ACTIVE) for _ in range(3)]
        theirs = [new_user(stage) for _ in range(3)]
        await stored(stage, *operators, *theirs, new_user(stage, merchant_id="mch_2"))

        def users(realm: Realm, merchant_id: str | None, status: str | None = None) -> Ask:
            return lambda cursor: stage.people.users(realm, merchant_id, status=status, cursor=cursor, limit=2)

        rows = await every(users(Realm.PLATFORM, None))
        assert [row["id"] for row in rows] == [user.id for user in reversed(operators)]
        assert rows[0] == {
            "id": operators[-1].id,
            "realm": "platform",
            "merchant_id": None,
            "login": operators[-1].login,
            "name": "李雷",
            "roles": ["risk"],
            "status": "active",
            "created_at": NOW,
            "first_password_until": NOW + timedelta(hours=1),
            "totp": True,
        }
        listed = await every(users(Realm.MERCHANT, stage.merchant.id))
        assert [row["id"] for row in listed] == [user.id for user in reversed(theirs)]
        assert await every(users(Realm.MERCHANT, stage.merchant.id, "active")) == []
        assert len(await every(users(Realm.PLATFORM, None, "active"))) == 3

    async def test_proposals_are_listed_newest_first_by_status_and_merchant(self, stage: Stage) -> None:
        proposals = [
            Proposal.make(
                ACTOR,
                id=stage.ids.new("prp"),
                action="thing.do",
                payload={"n": n},
                summary="…",
                permission="audit.read",
                merchant_id=stage.merchant.id if n % 2 else None,
                now=NOW,
            )
            for n in range(5)
        ]
        proposals[4] = replace(proposals[4], status=ProposalStatus.REJECTED)
        async with stage.unit_of_work() as uow:
            for proposal in proposals:
                await uow.proposals.add(proposal)

        def listed(status: str | None = None, merchant_id: str | None = None) -> Ask:
            return lambda cursor: stage.people.proposals(status=status, merchant_id=merchant_id, cursor=cursor, limit=2)

        rows = await every(listed())
        assert [row["payload"]["n"] for row in rows] == [4, 3, 2, 1, 0]
        assert (rows[0]["status"], rows[0]["created_at"]) == ("rejected", NOW)
        assert [row["payload"]["n"] for row in await every(listed("proposed"))] == [3, 2, 1, 0]
        assert [row["payload"]["n"] for row in await every(listed("proposed", stage.merchant.id))] == [3, 1]

    async def test_audit_records_are_listed_newest_first_by_actor_object_and_merchant(self, stage: Stage) -> None:
        other = replace(ACTOR, id="svc_2")
        for n in range(6):
            record = done(stage, f"mch_{n % 3}")
            async with stage.unit_of_work() as uow:
                await uow.audit.add(replace(record, actor=other if n == 5 else ACTOR, merchant_id=f"mch_{n % 2}"))

        def listed(**filters: str) -> Ask:
            asked = {"actor_id": None, "object_id": None, "merchant_id": None} | filters
            return lambda cursor: stage.people.audit(cursor=cursor, limit=2, **asked)

        rows = await every(listed())
        assert [row["object_id"] for row in rows] == ["mch_2", "mch_1", "mch_0", "mch_2", "mch_1", "mch_0"]
        assert "xid" not in rows[0]
        assert (rows[0]["actor_id"], rows[0]["actor_kind"], rows[0]["behind"]) == ("svc_2", "service", "opr_1")
        assert rows[1]["before"] == {"active": True, "limits": [1, None]}
        assert len(await every(listed(actor_id="svc_1"))) == 5
        assert len(await every(listed(object_id="mch_1"))) == 2
        assert len(await every(listed(object_id="mch_1", merchant_id="mch_0"))) == 1
        assert await every(listed(actor_id="svc_2", object_id="mch_1")) == []

    @pytest.mark.parametrize("cursor", FOREIGN_CURSORS)
    async def test_a_foreign_cursor_of_a_list_of_people_is_refused(self, stage: Stage, cursor: str) -> None:
        for ask in (
            stage.people.users(Realm.PLATFORM, None, status=None, cursor=cursor, limit=2),
            stage.people.proposals(status=None, merchant_id=None, cursor=cursor, limit=2),
            stage.people.audit(actor_id=None, object_id=None, merchant_id=None, cursor=cursor, limit=2),
        ):
            with pytest.raises(InvalidRequest) as caught:
                await ask
            assert caught.value.code == "cursor_invalid"
