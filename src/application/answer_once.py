"""Run a call once for its Idempotency-Key and give the same answer to every repetition."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from application.ports.storage import UnitOfWorkFactory
from application.ports.world import Clock
from domain.errors import InProgress, InvalidRequest
from domain.idempotency import KEPT, IdempotencyKey


@dataclass(frozen=True, slots=True)
class Answered:
    status: int
    body: bytes
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class AnswerOnce:
    """Claim the key, run, store the answer. A repetition gets the stored answer byte for byte.

    While the first run lasts, repetitions raise InProgress; another body under the same key raises InvalidRequest.
    When the run raises, the key is free again: only definite answers are kept. A run that died is run again after a
    minute, which is safe because every call behind a key is idempotent by its own natural key
    (docs/decisions/0002-idempotency.md).
    """

    unit_of_work: UnitOfWorkFactory
    clock: Clock

    async def __call__(self, key: IdempotencyKey | None, run: Callable[[], Awaitable[tuple[int, bytes]]]) -> Answered:
        if key is None:
            return Answered(*await run())
        async with self.unit_of_work() as uow:
            standing = await uow.idempotency.claim(key, now=self.clock.now())
        if standing is not None:
            if standing.key.fingerprint != key.fingerprint:
                raise InvalidRequest("this Idempotency-Key was used for another request", code="idempotency_key_reused")
            if standing.status is None or standing.body is None:
                raise InProgress("the first call with this Idempotency-Key is still running")
            return Answered(standing.status, standing.body, replayed=True)
        try:
            status, body = await run()
        except BaseException:
            async with self.unit_of_work() as uow:
                await uow.idempotency.release(key)
            raise
        async with self.unit_of_work() as uow:
            await uow.idempotency.answer(key, status, body)
        return Answered(status, body)


@dataclass(frozen=True, slots=True)
class PurgeIdempotencyKeys:
    """Forget keys a week after their last use; merchants' own numbers keep protecting them for ever."""

    unit_of_work: UnitOfWorkFactory
    clock: Clock

    async def __call__(self) -> int:
        async with self.unit_of_work() as uow:
            return await uow.idempotency.purge(self.clock.now() - KEPT)
