"""What this process measures, kept by the Prometheus client.

Each process has its own registry. The children of labelled metrics are looked up once and kept:
looking one up costs several times what counting does. The label values are few, as every one of
them is a name of ours.
"""

from bisect import bisect_left
from collections.abc import Iterator
from functools import cache
from http import HTTPMethod
from itertools import accumulate

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

_METHODS = frozenset(method.value for method in HTTPMethod)
_OTHER = "other"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class _Requests(Collector):
    """Requests, counted in plain numbers by the one thread that answers them.

    The client's own counters take a lock for each of the four numbers that a request changes: that
    is several times the time of counting.
    """

    def __init__(self) -> None:
        self._answered: dict[tuple[str, str, str], int] = {}
        self._times: dict[str, list[int]] = {}  # of each route, how many ended in each bucket
        self._seconds: dict[str, float] = {}

    def count(self, method: str, route: str, status: str, seconds: float) -> None:
        """One was answered."""
        labels = method, route, status
        self._answered[labels] = self._answered.get(labels, 0) + 1
        times = self._times.get(route)
        if times is None:
            times = self._times[route] = [0] * (len(_SECONDS) + 1)
        times[bisect_left(_SECONDS, seconds)] += 1
        self._seconds[route] = self._seconds.get(route, 0.0) + seconds

    def collect(self) -> Iterator[Metric]:
        """See ``Collector``."""
        answered = CounterMetricFamily(
            "medianest_http_requests",
            "HTTP requests answered.",
            labels=("method", "route", "status"),
        )
        for labels, number in self._answered.items():
            answered.add_metric(labels, number)
        yield answered
        seconds = HistogramMetricFamily(
            "medianest_http_request_seconds",
            "Time from the first byte of a request to the end of its answer.",
            labels=("route",),
        )
        for route, times in self._times.items():
            bounds = (*map(str, _SECONDS), "+Inf")
            seconds.add_metric(
                (route,), [*zip(bounds, accumulate(times), strict=True)], self._seconds[route]
            )
        yield seconds


class PrometheusMetrics:
    """``application.ports.Metrics`` and their ``Exposition``."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        refusals = Counter(
            "medianest_rate_limit_refusals_total",
            "Calls refused by a rate limit.",
            ("policy",),
            registry=registry,
        )
        sign_ins = Counter(
            "medianest_sign_ins_total",
            "Attempts to sign in.",
            ("method", "outcome"),
            registry=registry,
        )
        errors = Counter(
            "medianest_errors_total", "Unexpected errors.", ("critical",), registry=registry
        )
        self._requests = _Requests()
        registry.register(self._requests)
        self._refusals = cache(refusals.labels)
        self._sign_ins = cache(sign_ins.labels)
        self._errors = {flag: errors.labels(str(flag).lower()) for flag in (True, False)}
        self._dropped = Counter(
            "medianest_error_queue_dropped_total",
            "Unexpected errors that were not stored, because too many others waited.",
            registry=registry,
        )
        self._redis_away = Gauge(
            "medianest_redis_away",
            "1 when Redis could not be reached the last time it was needed.",
            registry=registry,
        )

    def request_answered(
        self, method: str, route: str | None, status: int | None, seconds: float
    ) -> None:
        """See ``application.ports.Metrics``."""
        # A client may send any word as its method, and each new one would cost memory for ever.
        named = method if method in _METHODS else _OTHER
        self._requests.count(named, route or _OTHER, str(status or _OTHER), seconds)

    def call_refused(self, policy: str) -> None:
        """See ``application.ports.Metrics``."""
        self._refusals(policy).inc()

    def sign_in_ended(self, method: str, outcome: str) -> None:
        """See ``application.ports.Metrics``."""
        self._sign_ins(method, outcome).inc()

    def redis_is_away(self, away: bool) -> None:  # noqa: FBT001 - the port's signature
        """See ``application.ports.Metrics``."""
        self._redis_away.set(away)

    def error_noted(self, critical: bool) -> None:  # noqa: FBT001 - the port's signature
        """See ``application.ports.Metrics``."""
        self._errors[critical].inc()

    def errors_dropped(self, times: int) -> None:
        """See ``application.ports.Metrics``."""
        self._dropped.inc(times)

    def exposition(self) -> bytes:
        """See ``application.ports.Exposition``."""
        return generate_latest(self._registry)
