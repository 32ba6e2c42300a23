"""`pitaya audit verify`: were audit records edited, removed or inserted behind our back?"""

from application.chain_audit import VerifyAudit


async def verify(verify_audit: VerifyAudit) -> tuple[str, bool]:
    """The text to print, and whether all is sound."""
    found = await verify_audit()
    lines = [f"records chained    {found.chained}", f"not chained yet    {found.pending}"]
    root = found.last_root
    if root is None:
        lines.append("exported roots     none: whoever owns the database could have made the whole chain anew")
    else:
        lines.append(
            f"exported roots     {found.roots}, the last at record {root.position} on {root.at:%Y-%m-%d %H:%M} UTC"
        )
    lines += [f"TAMPERED           {finding}" for finding in found.findings]
    if not found.findings:
        lines.append("nothing was edited, removed or inserted")
    return "\n".join(lines), not found.findings
