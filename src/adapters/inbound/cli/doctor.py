"""`pitaya doctor`: is every promise kept, and if not, which rows say so?"""

from application.ports.promises import PROMISES, Breach, Promises


async def examine(promises: Promises) -> tuple[str, bool]:
    """The text to print, one line a promise with the rows that break it below, and whether all are kept."""
    breaches = {breach.promise: breach for breach in await promises.broken()}
    lines = []
    for promise, sentence in PROMISES.items():
        breach = breaches.get(promise)
        lines.append(f"{'broken' if breach else 'ok':8}{promise:5}{sentence}")
        lines += _rows(breach) if breach else []
    return "\n".join(lines), not breaches


def _rows(breach: Breach) -> list[str]:
    return ["        " + "  ".join(f"{name}={value}" for name, value in row.items()) for row in breach.rows]
