"""People at once, met at a barrier: what two approve happens once, a code opens one door, and so on."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pyotp

from adapters.outbound.passwords import PyotpTotp
from application.keep_users import KeepUsers, People
from application.limit_tries import CODES, Limit, LimitTries, of_sign_in
from application.ports.storage import UnitOfWork
from application.ports.world import totp_context
from application.propose import DecideProposal, Propose
from application.second_factor import SecondFactor
from application.sign_in import SignIn
from domain.actors import Actor, ActorKind, Origin
from domain.errors import Conflict, RateLimited, Unauthenticated
from domain.permissions import ADMINISTRATOR, PLATFORM_PERMISSIONS, Realm
from domain.proposals import Proposal, ProposalStatus
from domain.users import User, UserStatus
from tests.contracts.people import new_operator, stored
from tests.contracts.stage import Stage, end
from tests.fakes.clock import FakeClock
from tests.fakes.passwords import FakePasswords
from tests.fakes.vault import FakeVault

PEPPER = b"a pepper of thirty-two characters"


def somebody(name: str) -> Actor:
    permissions = frozenset(PLATFORM_PERMISSIONS)
    return Actor(kind=ActorKind.OPERATOR, id=f"opr_{name}", name=name, permissions=permissions)


async def test_what_several_approve_at_once_is_executed_once(stage: Stage) -> None:
    barrier, done = asyncio.Barrier(4), list[str]()

    async def execute(uow: UnitOfWork, proposal: Proposal, actor: Actor) -> Mapping[str, Any]:
        done.append(actor.id)
        await uow.audit.add(actor.did("thing.done", "thing", id=stage.ids.new("aud"), at=proposal.created_at))
        return {"by": actor.id}

    clock = FakeClock()
    executors = {"thing.do": execute}
    propose = Propose(stage.unit_of_work, executors, clock, stage.ids)
    decide = DecideProposal(stage.unit_of_work, executors, clock, stage.ids)
    for _ in range(10):
        done.clear()
        proposal = await propose(somebody("maker"), "thing.do", {}, summary="Do it", permission="audit.read")

        async def approve(name: str, proposal: Proposal = proposal) -> Proposal:
            await barrier.wait()
            return await decide.approve(somebody(name), proposal.id)

        outcomes = await end(*(asyncio.create_task(approve(name)) for name in "abcd"))
        (decided,) = [each for each in outcomes if isinstance(each, Proposal)]
        others = [each for each in outcomes if isinstance(each, Conflict)]
        assert [each.code for each in others] == ["proposal_decided"] * 3
        assert done == [decided.decided_by]
        kept = await decide.get(proposal.id)
        assert (kept.status, kept.result) == (ProposalStatus.EXECUTED, {"by": decided.decided_by})
    async with stage.unit_of_work() as uow:
        assert len(await uow.audit.about("thing")) == 10


@dataclass(frozen=True)
class Meeting(LimitTries):
    """Counts nothing, and lets all who bring a code go on at one moment: counting would line them up."""

    barrier: asyncio.Barrier = field(default_factory=lambda: asyncio.Barrier(4))

    async def __call__(self, *tries: tuple[Limit, str]) -> None:
        if tries[0][0] is CODES:
            await self.barrier.wait()


async def test_one_code_opens_one_session_however_many_bring_it_at_once(stage: Stage) -> None:
    clock, passwords, vault, totp = FakeClock(), FakePasswords(), FakeVault(), PyotpTotp()
    factor = SecondFactor(totp, vault, stage.ids, PEPPER)
    limit = Meeting(stage.unit_of_work, clock)
    sign_in = SignIn(stage.unit_of_work, limit, passwords, factor, clock, stage.ids, PEPPER)
    operator, secret = new_operator(stage, "finance"), totp.new_secret()
    hashed = await passwords.hashed("dragon fruit for two")
    operator = operator.with_password(hashed).turned(UserStatus.ACTIVE)
    sealed = vault.seal(totp_context(operator.id), secret.encode())
    await stored(stage, operator.without_authenticator().enrol(sealed).enrolled(0, ()))

    async def enter(n: int, code: str) -> str:
        origin = Origin(f"203.0.113.{n}")
        return (await sign_in(Realm.PLATFORM, operator.login, "dragon fruit for two", code, origin)).token

    for _ in range(5):
        clock.advance(30)
        code = pyotp.TOTP(secret).at(clock.now())
        outcomes = await end(*(asyncio.create_task(enter(n, code)) for n in range(4)))
        assert len([each for each in outcomes if isinstance(each, str)]) == 1
        assert [each.code for each in outcomes if isinstance(each, Unauthenticated)] == ["totp_invalid"] * 3


async def test_two_administrators_who_deactivate_each_other_at_once_leave_one(stage: Stage) -> None:
    clock, people = FakeClock(), People(Realm.PLATFORM)
    keep = KeepUsers(stage.unit_of_work, FakePasswords(), clock, stage.ids)
    for _ in range(10):
        pair = [replace(new_operator(stage, ADMINISTRATOR), status=UserStatus.ACTIVE) for _ in range(2)]
        await stored(stage, *pair)
        barrier = asyncio.Barrier(2)

        async def strike(actor: User, victim: User, barrier: asyncio.Barrier = barrier) -> User:
            await barrier.wait()
            return await keep.deactivate(replace(somebody("x"), id=actor.id), people, victim.id)

        first, second = pair
        outcomes = await end(asyncio.create_task(strike(first, second)), asyncio.create_task(strike(second, first)))
        assert sorted(type(each).__name__ for each in outcomes) == ["Conflict", "User"], outcomes
        async with stage.unit_of_work() as uow:
            left = [await uow.users.get(user.id) for user in pair]
            assert [user.active for user in left].count(True) == 1
            (survivor,) = [user for user in left if user.active]
            await uow.users.save((await uow.users.lock(survivor.id)).turned(UserStatus.DEACTIVATED))


async def test_tries_at_once_are_all_counted_before_any_is_made(stage: Stage) -> None:
    limit = LimitTries(stage.unit_of_work, FakeClock())

    async def attempt() -> None:
        await limit(*of_sign_in(Realm.PLATFORM, "mina", "203.0.113.7"))

    outcomes = await end(*(asyncio.create_task(attempt()) for _ in range(6)))
    outcomes += await end(*(asyncio.create_task(attempt()) for _ in range(6)))
    assert outcomes.count(None) == 5
    assert [type(each) for each in outcomes].count(RateLimited) == 7
