"""A tiny application for a real worker and beat: due rows in a file database, claimed by lease as the real ones are.

Run as ``python rows.py ROLE BROKER DATABASE``; the roles are worker, beat, and deaf, a beat that is told to stop in a
destructor, where Python ignores exceptions.
"""

import asyncio
import os
import signal
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial

from celery import signals

from adapters.inbound.jobs.celery_app import build_celery, run_beat, run_worker
from adapters.inbound.jobs.table import Job, Run
from adapters.outbound.redis.hints import RedisHints, connect
from bootstrap.logging import configure

JOBS = (Job("work", every=0.5), Job("hinted", every=3600))
LEASE = 1.0


def database(path: str) -> sqlite3.Connection:
    made = sqlite3.connect(path, timeout=10, isolation_level=None)
    made.execute(
        "CREATE TABLE IF NOT EXISTS due (id TEXT PRIMARY KEY, next_at REAL, tries INT DEFAULT 0, done REAL, by INT)"
    )
    made.execute("CREATE TABLE IF NOT EXISTS sweep (job TEXT, at REAL, by INT)")
    made.execute("CREATE TABLE IF NOT EXISTS life (what TEXT, by INT)")
    return made


async def sweep(db: sqlite3.Connection, job: str) -> int:
    """Claim one row, work on it for a moment, mark it done. A row called ``deadly`` kills its first process."""
    now = time.time()
    db.execute("INSERT INTO sweep VALUES (?, ?, ?)", (job, now, os.getpid()))
    claimed = db.execute(
        "UPDATE due SET next_at = ?, tries = tries + 1 WHERE id ="
        " (SELECT id FROM due WHERE done IS NULL AND next_at <= ? LIMIT 1) RETURNING id, tries",
        (now + LEASE, now),
    ).fetchall()
    for id_, tries in claimed:
        await asyncio.sleep(0.05)
        if id_ == "deadly" and tries == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        db.execute("UPDATE due SET done = ?, by = ? WHERE id = ?", (time.time(), os.getpid(), id_))
    return len(claimed)


@asynccontextmanager
async def resources(path: str) -> AsyncIterator[Mapping[str, Run]]:
    db = database(path)
    db.execute("INSERT INTO life VALUES ('opened', ?)", (os.getpid(),))
    try:
        yield {job.name: partial(sweep, db, job.name) for job in JOBS}
    finally:
        db.execute("INSERT INTO life VALUES ('closed', ?)", (os.getpid(),))
        db.close()


async def listen(broker: str) -> AsyncIterator[str]:
    async with connect(broker) as client:
        async for job in RedisHints(client).listen_work():
            yield job


class Told:
    def __del__(self) -> None:
        signal.raise_signal(signal.SIGTERM)


def main(role: str, broker: str, path: str) -> int:
    configure("INFO")
    app = build_celery(broker, open=partial(resources, path), listen=partial(listen, broker), jobs=JOBS)
    if role == "deaf":
        signals.before_task_publish.connect(lambda **_: Told(), weak=False)
    if role != "worker":
        run_beat(app)
        return 0
    return run_worker(app, processes=2)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
