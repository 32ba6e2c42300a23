"""What payments came to, as rows and as a table for spreadsheets: for operators, and for a merchant of its own."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass

from application.export_list import as_csv
from application.ports.lists import Column, Kind, Row
from application.ports.reports import By, Reports, Wanted

_BY: Mapping[str, Column] = {
    By.DAY: Column(Kind.TEXT, "日期"),
    By.MERCHANT: Column(Kind.TEXT, "商户"),
    By.CHANNEL: Column(Kind.TEXT, "通道"),
    By.METHOD: Column(Kind.TEXT, "支付方式"),
}
FIGURES: Mapping[str, Column] = {
    "currency": Column(Kind.TEXT, "币种"),
    "payments": Column(Kind.NUMBER, "支付笔数"),
    "gross": Column(Kind.AMOUNT, "收款金额"),
    "refunds": Column(Kind.NUMBER, "退款笔数"),
    "refunded": Column(Kind.AMOUNT, "退款金额"),
    "fees": Column(Kind.AMOUNT, "手续费收入"),
    "cost": Column(Kind.AMOUNT, "通道成本"),
    "margin": Column(Kind.AMOUNT, "毛利"),
}
# What a merchant sees: what the channels charge the platform, and what it earns, is not for its merchants.
OWN_FIGURES = {name: column for name, column in FIGURES.items() if name not in ("cost", "margin")} | {
    "fees": Column(Kind.AMOUNT, "手续费")
}


@dataclass(frozen=True, slots=True)
class ReportPayments:
    """Rows with the asked ``By`` and these figures. Raises InvalidRequest("report_too_large")."""

    reports: Reports
    figures: Mapping[str, Column]

    async def __call__(self, wanted: Wanted) -> Sequence[Row]:
        names = {*wanted.by, *self.figures}
        return [
            {name: value for name, value in row.items() if name in names} for row in await self.reports.payments(wanted)
        ]

    async def as_csv(self, wanted: Wanted, *, chinese: bool) -> AsyncIterator[str]:
        """The same rows with the asked columns. What is wrong with the report shows here, before the first piece."""
        rows = await self(wanted)
        columns = {str(by): _BY[by] for by in wanted.by} | dict(self.figures)
        return as_csv(columns, _once(rows), chinese=chinese)


async def _once(rows: Sequence[Row]) -> AsyncIterator[Sequence[Row]]:
    yield rows
