"""Service tokens: what machines sign in with."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from application.ports.storage import UnitOfWorkFactory
from application.ports.world import Clock, Ids
from domain.actors import Actor, ActorKind
from domain.errors import Forbidden, InvalidRequest
from domain.permissions import PERMISSIONS, Realm
from domain.sessions import ServiceToken
from domain.tokens import RANDOM, SERVICE, make_token, token_digest


@dataclass(frozen=True, slots=True)
class KeepServiceTokens:
    """A token is its maker's hand: it may some of what he may, and never more than that at any time."""

    unit_of_work: UnitOfWorkFactory
    clock: Clock
    ids: Ids
    pepper: bytes = field(repr=False)

    async def all(self) -> Sequence[ServiceToken]:
        async with self.unit_of_work() as uow:
            return await uow.service_tokens.all()

    async def create(
        self, actor: Actor, name: str, permissions: frozenset[str], valid_for: timedelta
    ) -> tuple[ServiceToken, str]:
        """The token, and its text, which only this moment can show."""
        if actor.kind is not ActorKind.OPERATOR:
            raise Forbidden("an operator makes service tokens", code="forbidden")
        unknown = permissions - PERMISSIONS[Realm.PLATFORM].keys()
        if unknown:
            raise InvalidRequest(
                f"there is no permission {min(unknown)}", code="permission_unknown", pointer="/permissions"
            )
        if not permissions <= actor.permissions:
            raise Forbidden("this is more than you hold yourself", code="beyond_your_permissions")
        text, now = make_token(SERVICE, self.ids.token(RANDOM)), self.clock.now()
        token = ServiceToken(
            id=self.ids.new("svc"),
            name=name,
            digest=token_digest(text, self.pepper),
            last4=text[-4:],
            permissions=permissions,
            created_by=actor.id,
            created_at=now,
            expires_at=now + valid_for,
        )
        async with self.unit_of_work() as uow:
            await uow.service_tokens.add(token)
            await uow.audit.add(
                actor.did(
                    "service_token.created",
                    token.id,
                    id=self.ids.new("aud"),
                    at=now,
                    after={
                        "name": name,
                        "permissions": sorted(permissions),
                        "expires_at": token.expires_at.isoformat(),
                    },
                )
            )
        return token, text

    async def revoke(self, actor: Actor, token_id: str) -> ServiceToken:
        """At once. Revoking a revoked one is the same again."""
        now = self.clock.now()
        async with self.unit_of_work() as uow:
            token = await uow.service_tokens.lock(token_id)
            if token.revoked_at is not None:
                return token
            revoked = token.revoked(now)
            await uow.service_tokens.save(revoked)
            await uow.audit.add(actor.did("service_token.revoked", token_id, id=self.ids.new("aud"), at=now))
        return revoked
