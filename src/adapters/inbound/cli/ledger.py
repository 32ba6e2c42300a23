"""`pitaya close-day` and `pitaya ledger verify`: the ledger's days closed, and proved again."""

from datetime import date

from application.close_day import CloseDay, ProveDays


async def close(close_day: CloseDay, prove: ProveDays, day: date | None) -> tuple[str, bool]:
    """The text to print, and whether all is sound. A day that was closed before is proved, and shown the same."""
    lines = [
        f"{closing.day}  {closing.transfers:>9} transfers  {closing.digest.hex()}" for closing in await close_day(day)
    ]
    if not lines and day is None:
        lines.append("every day that is over is closed")
    elif day is not None:
        proved = await prove(day)
        assert proved.last is not None
        if not lines:
            lines.append(f"{day} was closed before: {proved.transfers} transfers")
        lines += [f"TAMPERED  {finding}" for finding in proved.findings]
        return "\n".join(lines), not proved.findings
    return "\n".join(lines), True


async def verify(prove: ProveDays) -> tuple[str, bool]:
    """The text to print, and whether all is sound."""
    found = await prove()
    lines = [f"days closed        {found.days}", f"their transfers    {found.transfers}"]
    if not found.roots:
        lines.append("exported roots     none: whoever owns the database could have closed all days anew")
    else:
        lines.append(f"exported roots     {found.roots}")
    lines += [f"TAMPERED           {finding}" for finding in found.findings]
    if not found.findings:
        lines.append("no transfer of a closed day was edited, removed or inserted")
    return "\n".join(lines), not found.findings
