"""Contract of the repositories of who may do what, and of what was done."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from application.chain_audit import ChainAudit
from application.ports.storage import AlreadyExists
from domain.actors import SYSTEM, Actor, ActorKind, AuditRecord
from domain.audit_chain import chained
from domain.errors import NotFound
from domain.permissions import Realm
from domain.proposals import Proposal, ProposalStatus
from domain.sessions import Role, ServiceToken, Session
from domain.users import Authenticator, User, UserStatus
from tests.contracts.interleaving import Gate
from tests.contracts.stage import DEADLINE_SECONDS, NOW, OnStage, Stage, assert_every_field_is_filled, end, soon

ACTOR = Actor(
    kind=ActorKind.SERVICE,
    id="svc_1",
    name="夜间任务",
    roles=("finance", "risk"),
    permissions=frozenset({"refunds.create"}),
    merchant_id="mch_1",
    behind="opr_1",
    address="2001:db8::1",
    request_id="req-1",
)


def done(stage: Stage, object_id: str = "mch_1") -> AuditRecord:
    return ACTOR.did(
        "merchant.suspended",
        object_id,
        id=stage.ids.new("aud"),
        at=NOW,
        merchant_id="mch_1",
        before={"active": True, "limits": [1, None]},
        after={"备注": "停用", "b": 1, "a": {"deep": 1.5}},
    )


class AuditContract(OnStage):
    async def test_a_record_comes_back_with_every_field_but_the_actors_permissions(self, stage: Stage) -> None:
        record = done(stage)
        assert_every_field_is_filled(record)
        assert_every_field_is_filled(record.actor)
        async with stage.unit_of_work() as uow:
            await uow.audit.add(record)
        async with stage.unit_of_work() as uow:
            (kept,) = await uow.audit.about("mch_1")
        assert kept == replace(record, actor=replace(ACTOR, permissions=frozenset()))
        assert list(kept.after) == list(record.after)

    async def test_the_records_of_an_object_come_oldest_first(self, stage: Stage) -> None:
        records = [done(stage), done(stage), SYSTEM.did("merchant.created", "mch_1", id=stage.ids.new("aud"), at=NOW)]
        for record in records:
            async with stage.unit_of_work() as uow:
                await uow.audit.add(record)
                await uow.audit.add(done(stage, "mch_2"))
        async with stage.unit_of_work() as uow:
            assert [record.id for record in await uow.audit.about("mch_1")] == [record.id for record in records]
            assert list(await uow.audit.about("mch_3")) == []

    async def test_a_unit_of_work_that_fails_leaves_no_record(self, stage: Stage) -> None:
        with pytest.raises(ValueError, match="no"):
            async with stage.unit_of_work() as uow:
                await uow.audit.add(done(stage))
                raise ValueError("no")
        async with stage.unit_of_work() as uow:
            assert list(await uow.audit.about("mch_1")) == []


def new_user(stage: Stage, **changes: Any) -> User:
    user = User(
        id=stage.ids.new("usr"),
        realm=Realm.MERCHANT,
        login=stage.ids.token(12).lower(),
        name="李雷",
        roles=frozenset({"owner", "viewer"}),
        password_hash="$argon2id$…",
        created_at=NOW,
        merchant_id=stage.merchant.id,
        first_password_until=NOW + timedelta(hours=1),
        authenticator=Authenticator(sealed=b"\x00 sealed", used_step=59_000_000),
        enrolling=Authenticator(sealed=b"\xff sealed"),
        recovery=(bytes(range(32)), b"\xff" * 32),
        status=UserStatus.DEACTIVATED,
        revision=3,
    )
    return replace(user, **changes)


def new_operator(stage: Stage, *roles: str) -> User:
    return new_user(stage, id=stage.ids.new("opr"), realm=Realm.PLATFORM, merchant_id=None, roles=frozenset(roles))


async def stored(stage: Stage, *users: User) -> None:
    async with stage.unit_of_work() as uow:
        for user in users:
            await uow.users.add(user)


class UsersContract(OnStage):
    async def test_a_user_comes_back_with_every_field(self, stage: Stage) -> None:
        user = new_user(stage)
        assert_every_field_is_filled(user)
        await stored(stage, user)
        async with stage.unit_of_work() as uow:
            assert await uow.users.get(user.id) == user
            assert await uow.users.with_login(Realm.MERCHANT, user.login) == user
            assert await uow.users.with_login(Realm.PLATFORM, user.login) is None
        changed = replace(
            user,
            name="韩梅梅",
            roles=frozenset({"finance"}),
            password_hash="other",
            first_password_until=None,
            authenticator=None,
            enrolling=None,
            recovery=(),
            status=UserStatus.ACTIVE,
            revision=4,
        )
        async with stage.unit_of_work() as uow:
            assert await uow.users.lock(user.id) == user
            await uow.users.save(changed)
        async with stage.unit_of_work() as uow:
            assert await uow.users.get(user.id) == changed

    async def test_an_unknown_user_is_not_found(self, stage: Stage) -> None:
        async with stage.unit_of_work() as uow:
            with pytest.raises(NotFound):
                await uow.users.get("usr_none")
            with pytest.raises(NotFound):
                await uow.users.lock("usr_none")

    async def test_a_login_is_one_persons_in_each_realm(self, stage: Stage) -> None:
        user = new_user(stage)
        await stored(stage, user, replace(new_operator(stage), login=user.login))
        with pytest.raises(AlreadyExists) as caught:
            await stored(stage, new_user(stage, login=user.login, merchant_id="mch_other"))
        assert caught.value.constraint == "uq_person_login"

    async def test_the_holders_of_a_role_are_those_of_this_realm_and_merchant(self, stage: Stage) -> None:
        first, second = new_operator(stage, "administrator"), new_operator(stage, "administrator", "risk")
        theirs = new_user(stage)
        await stored(stage, second, first, new_operator(stage, "risk"), theirs, new_user(stage, merchant_id="mch_2"))
        async with stage.unit_of_work() as uow:
            assert list(await uow.users.lock_holders(Realm.PLATFORM, None, "administrator")) == [first, second]
            assert list(await uow.users.lock_holders(Realm.MERCHANT, stage.merchant.id, "owner")) == [theirs]
            assert list(await uow.users.lock_holders(Realm.PLATFORM, None, "owner")) == []

    async def test_who_locks_the_holders_of_a_role_waits_for_who_changes_one_and_sees_the_change(
        self, stage: Stage
    ) -> None:
        first, second = new_operator(stage, "administrator"), new_operator(stage, "administrator")
        await stored(stage, first, second)
        gate = Gate()

        async def change() -> None:
            async with stage.unit_of_work() as uow:
                locked = await uow.users.lock(first.id)
                await uow.users.save(locked.given(frozenset({"risk"})))
                await gate.pause()

        async def look() -> list[str]:
            async with stage.unit_of_work() as uow:
                return [user.id for user in await uow.users.lock_holders(Realm.PLATFORM, None, "administrator")]

        changing = asyncio.create_task(change())
        await soon(gate.arrived.wait())
        looking = asyncio.create_task(look())
        assert await self.waits(looking)
        gate.open.set()
        assert await end(changing, looking) == [None, [second.id]]


class SessionsContract(OnStage):
    async def _session(self, stage: Stage, user: User, **changes: Any) -> Session:
        session = Session(
            id=stage.ids.new("ses"),
            user_id=user.id,
            digest=stage.ids.token(32).encode(),
            created_at=NOW,
            seen_at=NOW,
            expires_at=NOW + timedelta(hours=12),
            proved_at=NOW + timedelta(seconds=1),
            ended_at=None,
            address="2001:db8::1",
            agent="curl/8 “中文”",
        )
        session = replace(session, **changes)
        async with stage.unit_of_work() as uow:
            await uow.sessions.add(session)
        return session

    async def test_a_session_is_found_by_its_digest_alone(self, stage: Stage) -> None:
        user = new_user(stage)
        await stored(stage, user)
        session = await self._session(stage, user, ended_at=NOW)
        assert_every_field_is_filled(session)
        async with stage.unit_of_work() as uow:
            assert await uow.sessions.find(session.digest) == session
            assert await uow.sessions.find(b"other") is None
            with pytest.raises(NotFound):
                await uow.sessions.lock("ses_none")

    async def test_sessions_that_ran_out_are_forgotten_and_counted(self, stage: Stage) -> None:
        user = new_user(stage)
        await stored(stage, user)
        old, new = [await self._session(stage, user, expires_at=NOW + timedelta(hours=n)) for n in (1, 2)]
        for count in (1, 0):
            async with stage.unit_of_work() as uow:
                assert await uow.sessions.purge(new.expires_at) == count
        async with stage.unit_of_work() as uow:
            assert await uow.sessions.find(old.digest) is None
            assert await uow.sessions.find(new.digest) == new

    async def test_a_session_is_proved_under_a_new_digest(self, stage: Stage) -> None:
        user = new_user(stage)
        await stored(stage, user)
        session = await self._session(stage, user)
        async with stage.unit_of_work() as uow:
            proved = (await uow.sessions.lock(session.id)).proved(NOW + timedelta(minutes=2), b"new")
            await uow.sessions.save(proved)
        async with stage.unit_of_work() as uow:
            assert await uow.sessions.find(b"new") == proved
            assert await uow.sessions.find(session.digest) is None

    async def test_a_last_use_written_late_does_not_open_a_session_that_was_ended(self, stage: Stage) -> None:
        user = new_user(stage)
        await stored(stage, user)
        session = await self._session(stage, user)
        later = NOW + timedelta(minutes=1)
        async with stage.unit_of_work() as uow:
            assert await uow.sessions.end_all(user.id, NOW) == 1
        async with stage.unit_of_work() as uow:
            await uow.sessions.seen(session.id, later)
        async with stage.unit_of_work() as uow:
            assert await uow.sessions.find(session.digest) == replace(session, ended_at=NOW, seen_at=later)

    async def test_signing_out_everywhere_ends_every_open_session_of_one_user_but_the_one_that_asks(
        self, stage: Stage
    ) -> None:
        user, other = new_user(stage), new_user(stage)
        await stored(stage, user, other)
        mine, older, elsewhere = [
            await self._session(stage, user, created_at=NOW - timedelta(minutes=n)) for n in range(3)
        ]
        others = await self._session(stage, other)
        async with stage.unit_of_work() as uow:
            assert list(await uow.sessions.open_of(user.id)) == [elsewhere, older, mine]
            assert await uow.sessions.end_all(user.id, NOW, but=mine.id) == 2
        async with stage.unit_of_work() as uow:
            assert list(await uow.sessions.open_of(user.id)) == [mine]
            assert list(await uow.sessions.open_of(other.id)) == [others]
            assert await uow.sessions.end_all(user.id, NOW) == 1
            assert await uow.sessions.end_all(user.id, NOW) == 0


class MachinesAndRolesContract(OnStage):
    async def test_a_service_token_comes_back_with_every_field_and_is_found_by_its_digest(self, stage: Stage) -> None:
        maker = new_operator(stage, "administrator")
        await stored(stage, maker)
        first = ServiceToken(
            id=stage.ids.new("svc"),
            name="对账任务",
            digest=b"\x00\xff",
            last4="abcd",
            permissions=frozenset({"audit.read", "roles.read"}),
            created_by=maker.id,
            created_at=NOW,
            expires_at=NOW + timedelta(days=90),
            used_at=NOW,
            revoked_at=NOW,
        )
        assert_every_field_is_filled(first)
        second = replace(
            first, id=stage.ids.new("svc"), digest=b"2", created_at=NOW + timedelta(1), used_at=None, revoked_at=None
        )
        async with stage.unit_of_work() as uow:
            await uow.service_tokens.add(first)
            await uow.service_tokens.add(second)
        async with stage.unit_of_work() as uow:
            assert await uow.service_tokens.find(first.digest) == await uow.service_tokens.get(first.id) == first
            assert await uow.service_tokens.find(b"none") is None
            assert list(await uow.service_tokens.all()) == [second, first]
            with pytest.raises(NotFound):
                await uow.service_tokens.get("svc_none")
            with pytest.raises(NotFound):
                await uow.service_tokens.lock("svc_none")
        async with stage.unit_of_work() as uow:
            await uow.service_tokens.save((await uow.service_tokens.lock(second.id)).revoked(NOW))
        async with stage.unit_of_work() as uow:
            await uow.service_tokens.used(second.id, NOW + timedelta(2))
        async with stage.unit_of_work() as uow:
            kept = await uow.service_tokens.get(second.id)
        assert kept == replace(second, revoked_at=NOW, used_at=NOW + timedelta(2))

    async def test_a_custom_role_comes_back_and_its_name_is_one_roles_in_each_realm(self, stage: Stage) -> None:
        role = Role(
            name="night",
            realm=Realm.PLATFORM,
            meaning="夜班",
            permissions=frozenset({"audit.read", "roles.read"}),
            created_at=NOW,
            retired_at=NOW,
            revision=2,
        )
        assert_every_field_is_filled(role)
        other = replace(role, name="day", retired_at=None)
        async with stage.unit_of_work() as uow:
            for each in (role, other, replace(role, realm=Realm.MERCHANT)):
                await uow.roles.add(each)
        with pytest.raises(AlreadyExists) as caught:
            async with stage.unit_of_work() as uow:
                await uow.roles.add(role)
        assert caught.value.constraint == "pk_custom_role"
        changed = replace(role, meaning="", permissions=frozenset(), retired_at=None, revision=3)
        async with stage.unit_of_work() as uow:
            assert await uow.roles.lock(Realm.PLATFORM, "night") == role
            await uow.roles.save(changed)
            with pytest.raises(NotFound):
                await uow.roles.lock(Realm.PLATFORM, "none")
        async with stage.unit_of_work() as uow:
            assert list(await uow.roles.all(Realm.PLATFORM)) == [other, changed]


class ThrottlesContract(OnStage):
    async def test_tries_are_counted_in_a_window_that_begins_with_the_first(self, stage: Stage) -> None:
        window = timedelta(minutes=15)
        seen = []
        for minutes in (0, 1, 14, 15, 16, 31):
            async with stage.unit_of_work() as uow:
                seen.append(await uow.throttles.hit("a", now=NOW + timedelta(minutes=minutes), window=window))
        assert seen == [1, 2, 3, 1, 2, 1]
        async with stage.unit_of_work() as uow:
            assert await uow.throttles.hit("b", now=NOW, window=window) == 1
            await uow.throttles.forget("a")
            await uow.throttles.forget("c")
        async with stage.unit_of_work() as uow:
            assert await uow.throttles.hit("a", now=NOW, window=window) == 1

    async def test_two_at_once_are_counted_as_two(self, stage: Stage) -> None:
        async def hit() -> int:
            async with stage.unit_of_work() as uow:
                return await uow.throttles.hit("a", now=NOW, window=timedelta(minutes=15))

        assert sorted(await end(*(asyncio.create_task(hit()) for _ in range(6)))) == [1, 2, 3, 4, 5, 6]

    async def test_old_windows_are_forgotten(self, stage: Stage) -> None:
        async with stage.unit_of_work() as uow:
            for n in range(3):
                await uow.throttles.hit(str(n), now=NOW + timedelta(hours=n), window=timedelta(minutes=15))
        async with stage.unit_of_work() as uow:
            assert await uow.throttles.purge(NOW + timedelta(hours=2)) == 2
            assert await uow.throttles.purge(NOW + timedelta(hours=2)) == 0
            assert await uow.throttles.hit("2", now=NOW + timedelta(hours=2), window=timedelta(minutes=15)) == 2


class ProposalsContract(OnStage):
    def _proposal(self, stage: Stage, **changes: Any) -> Proposal:
        proposal = Proposal.make(
            ACTOR,
            id=stage.ids.new("prp"),
            action="merchant.change_payee",
            payload={"b": [1, None], "a": "卡号"},
            summary="火龙果水果店：更换收款账户",
            permission="merchants.approve",
            merchant_id=stage.merchant.id,
            now=NOW,
        )
        return replace(proposal, **changes)

    async def _stored(self, stage: Stage, *proposals: Proposal) -> None:
        async with stage.unit_of_work() as uow:
            for proposal in proposals:
                await uow.proposals.add(proposal)

    async def test_a_proposal_comes_back_with_every_field(self, stage: Stage) -> None:
        proposal = self._proposal(stage)
        decided = replace(
            proposal,
            status=ProposalStatus.REJECTED,
            decided_by="opr_2",
            decided_by_name="韩梅梅",
            decided_at=NOW + timedelta(hours=1),
            reason="账户名不符",
            result={"ok": False},
            revision=1,
        )
        assert_every_field_is_filled(decided)
        await self._stored(stage, proposal)
        async with stage.unit_of_work() as uow:
            assert await uow.proposals.get(proposal.id) == proposal
            assert await uow.proposals.lock(proposal.id) == proposal
            await uow.proposals.save(decided)
        async with stage.unit_of_work() as uow:
            assert await uow.proposals.get(proposal.id) == decided
            with pytest.raises(NotFound):
                await uow.proposals.get("prp_none")
            with pytest.raises(NotFound):
                await uow.proposals.lock("prp_none")

    async def test_undecided_proposals_past_their_time_are_claimed_unless_somebody_holds_them(
        self, stage: Stage
    ) -> None:
        due, held = self._proposal(stage), self._proposal(stage)
        await self._stored(
            stage,
            due,
            held,
            self._proposal(stage, expires_at=NOW + timedelta(days=9)),
            self._proposal(stage, status=ProposalStatus.EXECUTED),
        )
        gate = Gate()

        async def hold() -> None:
            async with stage.unit_of_work() as uow:
                await uow.proposals.lock(held.id)
                await gate.pause()

        holding = asyncio.create_task(hold())
        await soon(gate.arrived.wait())
        async with stage.unit_of_work() as uow:
            assert list(await uow.proposals.claim_expired(due.expires_at, limit=9)) == [due]
        gate.open.set()
        await soon(holding)
        async with stage.unit_of_work() as uow:
            assert len(await uow.proposals.claim_expired(due.expires_at, limit=1)) == 1
            assert list(await uow.proposals.claim_expired(NOW, limit=9)) == []


class AuditChainContract(OnStage):
    async def _records(self, stage: Stage, count: int) -> list[str]:
        records = [done(stage) for _ in range(count)]
        for record in records:
            async with stage.unit_of_work() as uow:
                await uow.audit.add(record)
        return [record.id for record in records]

    async def _chained(self, stage: Stage, expected: int) -> None:
        """Chain until so many are: one may come a little later, while older transactions are open somewhere."""
        chain, made = ChainAudit(stage.unit_of_work), 0
        async with asyncio.timeout(DEADLINE_SECONDS):
            while made < expected:
                made += await chain()
                await asyncio.sleep(0.01)

    async def test_links_cover_the_records_in_the_order_of_their_transactions(self, stage: Stage) -> None:
        ids = await self._records(stage, 3)
        await self._chained(stage, 3)
        more = await self._records(stage, 2)
        await self._chained(stage, 2)
        async with stage.unit_of_work() as uow:
            looked = await uow.chain.after(0, limit=9)
            assert [link.position for link, _ in looked] == [1, 2, 3, 4, 5]
            assert [link.record_id for link, _ in looked] == [*ids, *more]
            entries = [entry for _, entry in looked if entry is not None]
            assert list(chained(None, entries)) == [link for link, _ in looked]
            assert await uow.chain.head() == looked[-1][0]
            assert await uow.chain.after(3, limit=1) == [looked[3]]
            assert list(await uow.chain.strays(limit=9)) == []
            assert await uow.chain.pending() == 0

    async def test_a_record_that_commits_late_is_waited_for(self, stage: Stage) -> None:
        gate, late = Gate(), done(stage)

        async def slow() -> None:
            async with stage.unit_of_work() as uow:
                await uow.audit.add(late)
                await uow.audit.about(late.object_id)  # sent, and not yet committed
                await gate.pause()

        writing = asyncio.create_task(slow())
        await soon(gate.arrived.wait())
        (quick,) = await self._records(stage, 1)
        assert await ChainAudit(stage.unit_of_work)() == 0
        gate.open.set()
        await soon(writing)
        await self._chained(stage, 2)
        async with stage.unit_of_work() as uow:
            assert [link.record_id for link, _ in await uow.chain.after(0, limit=9)] == [late.id, quick]
            assert list(await uow.chain.strays(limit=9)) == []

    async def test_several_who_chain_at_once_make_one_chain(self, stage: Stage) -> None:
        await self._records(stage, 5)
        await self._chained(stage, 0)
        chain = ChainAudit(stage.unit_of_work)
        async with asyncio.timeout(DEADLINE_SECONDS):
            made = 0
            while made < 5:
                made += sum(await end(*(asyncio.create_task(chain()) for _ in range(4))))
                await asyncio.sleep(0.01)
        async with stage.unit_of_work() as uow:
            looked = await uow.chain.after(0, limit=9)
        entries = [entry for _, entry in looked if entry is not None]
        assert list(chained(None, entries)) == [link for link, _ in looked]
        assert (made, len(looked)) == (5, 5)
