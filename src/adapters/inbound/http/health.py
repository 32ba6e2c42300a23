"""/livez, /readyz and /metrics: for whoever runs us. None of them says anything about merchants; still, keep /metrics
from the public at your proxy."""

from typing import Any

from litestar import Response, get

from adapters.inbound.http.kit import Api
from adapters.inbound.http.metrics import MEDIA_TYPE
from domain.times import rfc3339


@get("/livez", include_in_schema=False)
async def livez() -> dict[str, str]:
    """This process answers. It asks nobody else: a dead database is no reason to restart us."""
    return {"status": "live"}


@get("/readyz", include_in_schema=False)
async def readyz(api: Api) -> Response[dict[str, Any]]:
    """200 when all that is required works, else 503. ``time`` is the clock that decides what has expired."""
    checks = await api.ready()
    ready = all(ok for _, ok, _, required in checks if required)
    return Response(
        {
            "status": "ready" if ready else "unready",
            "version": api.version,
            "time": rfc3339(api.clock.now()),
            "checks": [
                {"name": name, "ok": ok, "detail": detail, "required": required}
                for name, ok, detail, required in checks
            ],
        },
        status_code=200 if ready else 503,
    )


@get("/metrics", include_in_schema=False)
async def metrics(api: Api) -> Response[bytes]:
    """The Prometheus text format; each worker process answers for itself."""
    return Response(api.metrics.render(), media_type=MEDIA_TYPE)


HANDLERS = [livez, readyz, metrics]
