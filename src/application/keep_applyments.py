"""A merchant becomes a sub-merchant of ours at WeChat Pay (特约商户进件): apply, amend, follow, open its account."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from application.crashpoints import crashpoint
from application.ports.channels import Onboarding
from application.ports.storage import UnitOfWork, UnitOfWorkFactory
from application.ports.world import Clock, Ids, Vault, applyment_context
from application.together import together
from domain.actors import Actor
from domain.applyments import AMENDABLE, Applyment, ApplymentStatus, Form, check_form
from domain.channels import Channel, ChannelAccount, Credential, Method
from domain.errors import ChannelRejected, ChannelUnavailable, InvalidRequest, OutcomeUnknown

IMAGES = {".jpg": b"\xff\xd8\xff", ".jpeg": b"\xff\xd8\xff", ".png": b"\x89PNG", ".bmp": b"BM"}
MOST_IMAGE = 2 * 1024 * 1024  # WeChat Pay 图片上传: 2 MB, JPG, PNG or BMP


@dataclass(frozen=True, slots=True)
class FollowApplyments:
    """Tell the channel what it has not heard, and ask what became of the rest. A lost answer is resolved by a query by
    our code; only where the channel has nothing of it, or still what it had sent back, is it told again."""

    unit_of_work: UnitOfWorkFactory
    onboarding: Mapping[Channel, Onboarding]
    vault: Vault
    clock: Clock
    ids: Ids
    batch: int = 20

    async def __call__(self) -> int:
        """One sweep: how many it took."""
        async with self.unit_of_work() as uow:
            due = await uow.applyments.claim_due(self.clock.now(), limit=self.batch)
        await together(self.follow, due)
        return len(due)

    async def follow(self, applyment: Applyment) -> Applyment:
        """Raises ChannelError when the channel says nothing usable: it stays due."""
        async with self.unit_of_work() as uow:
            credential = await uow.credentials.get(applyment.credential_id)
        channel = self.onboarding[credential.channel]
        report = await channel.query_applyment(credential, applyment.code)
        unheard = report.status is None or report.status in AMENDABLE
        if applyment.status is ApplymentStatus.SUBMITTING and unheard:
            return await self.submit(applyment, credential)
        if report.status is None:
            return applyment
        async with self.unit_of_work() as uow:
            told = (await uow.applyments.lock(applyment.id)).told(report)
            if told.status is ApplymentStatus.FINISHED and told.account_id is None:
                told = await self._open(uow, told, credential)
            await uow.applyments.save(told)
        return told

    async def submit(self, applyment: Applyment, credential: Credential) -> Applyment:
        crashpoint("applyment.after_intent")
        form = json.loads(self.vault.open(applyment_context(applyment.id), applyment.sealed))
        try:
            channel_id = await self.onboarding[credential.channel].apply(credential, applyment.code, form)
        except ChannelRejected as refusal:
            async with self.unit_of_work() as uow:
                refused = (await uow.applyments.lock(applyment.id)).refused(f"{refusal.code}: {refusal}"[:300])
                await uow.applyments.save(refused)
            return refused
        except (ChannelUnavailable, OutcomeUnknown):
            return applyment  # still due, and a query comes first
        crashpoint("applyment.after_channel")
        async with self.unit_of_work() as uow:
            sent = await uow.applyments.lock(applyment.id)
            if sent.status is ApplymentStatus.SUBMITTING:
                # Taken: a look in a moment says how it stands. The form has gone where it belongs.
                sent = replace(sent, channel_id=channel_id, sealed=b"", status=ApplymentStatus.AUDITING)
                await uow.applyments.save(sent)
        return sent

    async def _open(self, uow: UnitOfWork, applyment: Applyment, credential: Credential) -> Applyment:
        """The merchant's channel account, switched off until somebody has looked at it and set its costs."""
        if applyment.sub_mchid is None:
            return applyment  # the channel names it later
        theirs = await uow.accounts.page(before=None, limit=100, merchant_id=applyment.merchant_id)
        for one in theirs:
            if (one.account.payee, one.account.credential_id) == (applyment.sub_mchid, credential.id):
                return applyment.opened(one.account.id)
        account = ChannelAccount(
            id=self.ids.new("cha"),
            channel=credential.channel,
            mode=applyment.mode,
            credential_id=credential.id,
            payee=applyment.sub_mchid,
            methods=applyment.methods,
            merchant_id=applyment.merchant_id,
            enabled=False,
        )
        await uow.accounts.add(account)
        return applyment.opened(account.id)


@dataclass(frozen=True, slots=True)
class KeepApplyments:
    """What operators do. Nothing of a form is in the audit, in an event or in an answer."""

    unit_of_work: UnitOfWorkFactory
    onboarding: Mapping[Channel, Onboarding]
    follow: FollowApplyments
    vault: Vault
    clock: Clock
    ids: Ids

    async def get(self, applyment_id: str) -> Applyment:
        async with self.unit_of_work() as uow:
            return await uow.applyments.get(applyment_id)

    async def of_merchant(self, merchant_id: str) -> Sequence[Applyment]:
        async with self.unit_of_work() as uow:
            return await uow.applyments.of_merchant(merchant_id)

    async def upload(self, actor: Actor, credential_id: str, name: str, image: bytes) -> str:
        """An image of a form, straight to the channel: its media id. We keep nothing of it but that it was sent."""
        kind = "." + name.rpartition(".")[2].lower()
        if kind not in IMAGES or not image.startswith(IMAGES[kind]) or len(image) > MOST_IMAGE:
            raise InvalidRequest("a JPG, PNG or BMP of 2 MB at most", code="image_invalid", pointer="/content")
        async with self.unit_of_work() as uow:
            credential = self._provider(await uow.credentials.get(credential_id))
        media_id = await self.onboarding[credential.channel].upload(credential, f"image{kind}", image)
        digest = hashlib.sha256(image).hexdigest()[:16]
        async with self.unit_of_work() as uow:
            await self._record(uow, actor, "applyment.image_uploaded", credential_id, {"sha256": digest})
        return media_id

    async def apply(
        self, actor: Actor, merchant_id: str, credential_id: str, methods: frozenset[Method], form: Form
    ) -> Applyment:
        """Stored first, then told to the channel. Raises InvalidRequest for a credential that is no provider's."""
        check_form(form)
        now, id_ = self.clock.now(), self.ids.new("apl")
        async with self.unit_of_work() as uow:
            merchant = await uow.merchants.get(merchant_id)
            credential = self._provider(await uow.credentials.get(credential_id))
            if any(method.channel is not credential.channel for method in methods):
                raise InvalidRequest("a method of another channel", code="method_invalid", pointer="/methods")
            applyment = Applyment(
                id=id_,
                merchant_id=merchant.id,
                mode=credential.mode,
                credential_id=credential.id,
                code=f"{credential.provider}_{id_.removeprefix('apl_')}",
                methods=methods,
                created_at=now,
                sealed=self._seal(id_, form),
                next_at=now,
            ).polled(now)
            await uow.applyments.add(applyment)
            await self._record(uow, actor, "applyment.submitted", id_, {"code": applyment.code})
        return await self.follow.submit(applyment, credential)

    async def amend(self, actor: Actor, applyment_id: str, form: Form) -> Applyment:
        """Another form under the same code, for one that was sent back. Raises Conflict for any other."""
        check_form(form)
        now = self.clock.now()
        async with self.unit_of_work() as uow:
            seen = await uow.applyments.lock(applyment_id)
            applyment = seen.amended(self._seal(applyment_id, form), now).polled(now)
            credential = await uow.credentials.get(applyment.credential_id)
            await uow.applyments.save(applyment)
            await self._record(uow, actor, "applyment.amended", applyment_id, {"code": applyment.code})
        return await self.follow.submit(applyment, credential)

    async def check(self, applyment_id: str) -> Applyment:
        """Ask the channel now. Raises ChannelError."""
        return await self.follow.follow(await self.get(applyment_id))

    def _provider(self, credential: Credential) -> Credential:
        if credential.provider is None or credential.channel not in self.onboarding:
            raise InvalidRequest(
                "this is no service provider's credential at a channel that takes applications",
                code="credential_no_provider",
                pointer="/credential_id",
            )
        return credential

    def _seal(self, id_: str, form: Form) -> bytes:
        return self.vault.seal(applyment_context(id_), json.dumps(form).encode())

    async def _record(self, uow: UnitOfWork, actor: Actor, action: str, about: str, after: Mapping[str, str]) -> None:
        await uow.audit.add(actor.did(action, about, id=self.ids.new("aud"), at=self.clock.now(), after=after))
