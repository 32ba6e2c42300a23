"""Merchants' applications at a channel: what any storage of them must do."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from domain.applyments import Applyment, ApplymentStatus, Rejection
from domain.channels import Method, Mode
from domain.errors import NotFound
from tests.contracts.stage import NOW, OnStage, Stage, assert_every_field_is_filled


class ApplymentsContract(OnStage):
    def new_applyment(self, stage: Stage, **changes: Any) -> Applyment:
        id_ = stage.ids.new("apl")
        applyment = Applyment(
            id=id_,
            merchant_id=stage.merchant.id,
            mode=Mode.TEST,
            credential_id=stage.account.credential_id,
            code=f"1900000001_{id_.removeprefix('apl_')}",
            methods=frozenset({Method.WECHAT_JSAPI, Method.WECHAT_NATIVE}),
            created_at=NOW,
            sealed=b"\x00 sealed",
        )
        return replace(applyment, **changes)

    async def test_an_application_comes_back_with_every_field(self, stage: Stage) -> None:
        applyment = self.new_applyment(stage)
        told = replace(
            applyment,
            status=ApplymentStatus.REJECTED,
            channel_id="2000002124775691",
            sub_mchid="1900000109",
            sign_url="https://pay.weixin.qq.com/public/apply4ec_sign/s?a=1",
            rejections=(Rejection("subject_info", "营业执照", "看不清"),),
            account_id=stage.account.id,
            next_at=NOW + timedelta(hours=1),
            polls=3,
            sealed=b"\x01 another",
        )
        assert_every_field_is_filled(told, but=frozenset())
        later = self.new_applyment(stage)
        async with stage.unit_of_work() as uow:
            await uow.applyments.add(applyment)
            await uow.applyments.add(later)
        async with stage.unit_of_work() as uow:
            assert await uow.applyments.lock(applyment.id) == applyment
            await uow.applyments.save(told)
        async with stage.unit_of_work() as uow:
            assert await uow.applyments.get(applyment.id) == told
            assert list(await uow.applyments.of_merchant(stage.merchant.id)) == [later, told]
            assert list(await uow.applyments.of_merchant("mch_none")) == []

    async def test_what_is_due_is_claimed_once_and_moved_on(self, stage: Stage) -> None:
        due, ended = self.new_applyment(stage, next_at=NOW), self.new_applyment(stage)
        later = self.new_applyment(stage, next_at=NOW + timedelta(seconds=1))
        async with stage.unit_of_work() as uow:
            for each in (due, ended, later):
                await uow.applyments.add(each)
        async with stage.unit_of_work() as uow:
            (claimed,) = await uow.applyments.claim_due(NOW, limit=10)
        assert claimed == due.polled(NOW)
        async with stage.unit_of_work() as uow:
            assert list(await uow.applyments.claim_due(NOW, limit=10)) == []
            assert await uow.applyments.get(due.id) == claimed

    async def test_an_unknown_application_is_not_found(self, stage: Stage) -> None:
        async with stage.unit_of_work() as uow:
            for find in (uow.applyments.get, uow.applyments.lock):
                with pytest.raises(NotFound):
                    await find("apl_none")
