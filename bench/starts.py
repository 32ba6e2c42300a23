"""How long each process takes from its command to its first use."""

import asyncio
from pathlib import Path

import redis

from adapters.inbound.jobs.celery_app import build_celery
from bench.processes import answers, running
from bench.stock import Ground, environment, execute
from bootstrap.supervisor import any_port

_PITAYA = ["-m", "bootstrap.main"]


def web(url: str, redis_url: str, logs: Path) -> float:
    """Until /readyz says yes."""
    port = any_port()
    words = [*_PITAYA, "web", "--port", str(port), "--workers", "2"]
    with running(words, environment(url, redis_url, port), logs / "web.log") as process:
        return process.until(lambda: answers(f"http://127.0.0.1:{port}/readyz"))


def worker(url: str, redis_url: str, logs: Path) -> float:
    """Until it has fanned out an event, for which a task lies ready."""
    asyncio.run(execute(url, "INSERT INTO outbox (event_id) SELECT id FROM event LIMIT 1"))
    build_celery(redis_url).send_task("pitaya.fan_out_events")
    with running([*_PITAYA, "worker"], environment(url, redis_url), logs / "worker.log") as process:
        return process.until(lambda: asyncio.run(execute(url, "SELECT count(*) FROM outbox")) == 0)


def beat(url: str, redis_url: str, logs: Path) -> float:
    """Until the first task is in the queue."""
    with redis.Redis.from_url(redis_url) as queue:
        queue.delete("pitaya")
        with running([*_PITAYA, "beat"], environment(url, redis_url), logs / "beat.log") as process:
            seconds = process.until(lambda: bool(queue.llen("pitaya")))
        queue.delete("pitaya")
    return seconds


def sandbox(logs: Path) -> float:
    """Until /livez answers, its keys made by an earlier start."""
    port = any_port()
    words = ["-m", "sandbox", "--port", str(port), "--state", str(logs / "sandbox")]
    with running(words, {}, logs / "sandbox.log") as process:
        return process.until(lambda: answers(f"http://127.0.0.1:{port}/livez"))


def measure(ground: Ground) -> dict[str, float]:
    url, redis_url, logs = ground.server.url("starts"), ground.redis_url, ground.logs
    sandbox(logs)
    return {
        "web, 2 workers, until /readyz": web(url, redis_url, logs),
        "worker, until its first job is done": worker(url, redis_url, logs),
        "beat, until its first task is queued": beat(url, redis_url, logs),
        "sandbox, until /livez": sandbox(logs),
    }
