"""A channel's desk for applications, in memory: people there decide with ``move``."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field

from domain.applyments import AMENDABLE, ApplymentReport, ApplymentStatus, Form, Rejection
from domain.channels import Credential
from domain.errors import ChannelRejected, ChannelUnavailable, OutcomeUnknown
from tests.fakes.channel import ChannelFault
from tests.fakes.faults import Faults


@dataclass
class _Case:
    form: Form = field(repr=False)
    report: ApplymentReport
    submissions: int = 1


class FakeOnboarding:
    def __init__(self, open_here: Callable[[], bool] = lambda: False) -> None:
        self.faults: Faults[ChannelFault] = Faults()
        self.cases: dict[str, _Case] = {}
        self.images: dict[str, int] = {}
        self._open_here = open_here

    async def upload(self, credential: Credential, name: str, image: bytes) -> str:
        self._answer(self._hear("upload"))
        self.images[f"media-{len(self.images)}-{name}"] = len(image)
        return list(self.images)[-1]

    async def apply(self, credential: Credential, code: str, form: Form) -> str:
        fault = self._hear("apply")
        case = self.cases.get(code)
        if case is not None and case.report.status not in AMENDABLE:
            raise ChannelRejected("it is being looked at", code="PROCESSING")
        audited = ApplymentReport(
            status=ApplymentStatus.AUDITING, channel_id=f"2000-{code[-6:]}", sign_url="https://wechat.example/sign"
        )
        self.cases[code] = _Case(copy.deepcopy(dict(form)), audited, case.submissions + 1 if case else 1)
        self._answer(fault)
        return audited.channel_id or ""

    async def query_applyment(self, credential: Credential, code: str) -> ApplymentReport:
        fault = self._hear("query")
        case = self.cases.get(code)
        self._answer(fault)
        return case.report if case else ApplymentReport(status=None)

    def move(self, code: str, status: ApplymentStatus, *, sub_mchid: str | None = None) -> None:
        """What people at the channel and at the merchant do."""
        rejections = (Rejection("license_copy", "营业执照照片", "看不清"),) if status in AMENDABLE else ()
        self.cases[code].report = ApplymentReport(
            status=status, channel_id=f"2000-{code[-6:]}", sub_mchid=sub_mchid, rejections=rejections
        )

    def _hear(self, step: str) -> ChannelFault | None:
        assert not self._open_here(), "never call a channel inside a unit of work"
        fault = self.faults.take(step)
        if fault is ChannelFault.UNAVAILABLE:
            raise ChannelUnavailable("the fake desk is closed")
        if fault is ChannelFault.UNKNOWN_UNDONE:
            raise OutcomeUnknown("the fake desk did not answer")
        if fault is ChannelFault.REJECTED:
            raise ChannelRejected("the fake desk says no", code="PARAM_ERROR")
        return fault

    def _answer(self, fault: ChannelFault | None) -> None:
        if fault is ChannelFault.UNKNOWN_DONE:
            raise OutcomeUnknown("the fake desk's answer was lost")
