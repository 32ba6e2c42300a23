"""What Prometheus may ask of this process. One registry an app; every name starts with ``pitaya_``."""

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

MEDIA_TYPE = CONTENT_TYPE_LATEST
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """Counters of the HTTP edge. Labels are routes, never addresses, so that their number stays small."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "pitaya_http_requests", "Requests answered.", ["method", "route", "status"], registry=self.registry
        )
        self.duration = Histogram(
            "pitaya_http_request_duration_seconds",
            "Until the answer began.",
            ["method", "route"],
            registry=self.registry,
        )
        self.notices = Counter(
            "pitaya_notices", "Channel notices by outcome.", ["channel", "outcome"], registry=self.registry
        )
        self.orders_placed = Counter(
            "pitaya_orders_placed", "Orders placed, repetitions not counted.", ["mode"], registry=self.registry
        )
        self.attempts_started = Counter(
            "pitaya_attempts_started", "Answers that carried a payer's action.", ["method"], registry=self.registry
        )

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """One answer. Anything but the usual methods is one label, or a stranger could make us as many as he likes."""
        method = method if method in _METHODS else "other"
        self.requests.labels(method, route, str(status)).inc()
        self.duration.labels(method, route).observe(seconds)

    def render(self) -> bytes:
        return generate_latest(self.registry)
