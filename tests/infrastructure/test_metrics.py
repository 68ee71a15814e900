import pytest
from prometheus_client.parser import text_string_to_metric_families

from application.ports.metrics import Exposition
from infrastructure.metrics import PrometheusMetrics


def samples(of: Exposition) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every sample that the text tells, as Prometheus reads it."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(of.exposition().decode())
        for sample in family.samples
    }


def sample(metrics: PrometheusMetrics, name: str, **labels: str) -> float | None:
    return samples(metrics).get((f"medianest_{name}", frozenset(labels.items())))


@pytest.fixture
def metrics() -> PrometheusMetrics:
    return PrometheusMetrics()


def test_requests_are_counted_and_timed(metrics: PrometheusMetrics) -> None:
    metrics.request_answered("GET", "/media/{id}", 200, 0.004)
    metrics.request_answered("GET", "/media/{id}", 200, 0.3)
    metrics.request_answered("GET", "/media/{id}", 404, 0.1)
    counted = {"method": "GET", "route": "/media/{id}"}
    assert sample(metrics, "http_requests_total", **counted, status="200") == 2
    assert sample(metrics, "http_requests_total", **counted, status="404") == 1
    timed = {"route": "/media/{id}"}
    assert sample(metrics, "http_request_seconds_count", **timed) == 3
    assert sample(metrics, "http_request_seconds_sum", **timed) == pytest.approx(0.404)
    assert sample(metrics, "http_request_seconds_bucket", **timed, le="0.005") == 1


def test_what_clients_make_up_makes_no_new_labels(metrics: PrometheusMetrics) -> None:
    for number in range(100):
        metrics.request_answered(f"BREW{number}", None, None, 0.001)
    other = {"method": "other", "route": "other", "status": "other"}
    assert sample(metrics, "http_requests_total", **other) == 100


def test_everything_else_is_counted_by_its_name(metrics: PrometheusMetrics) -> None:
    metrics.call_refused("auth")
    metrics.sign_in_ended("plex", "refused")
    metrics.error_noted(True)
    metrics.error_noted(True)
    metrics.error_noted(False)
    metrics.errors_dropped(7)
    assert sample(metrics, "rate_limit_refusals_total", policy="auth") == 1
    assert sample(metrics, "sign_ins_total", method="plex", outcome="refused") == 1
    assert sample(metrics, "errors_total", critical="true") == 2
    assert sample(metrics, "errors_total", critical="false") == 1
    assert sample(metrics, "error_queue_dropped_total") == 7


def test_redis_comes_back(metrics: PrometheusMetrics) -> None:
    metrics.redis_is_away(True)
    assert sample(metrics, "redis_away") == 1
    metrics.redis_is_away(False)
    assert sample(metrics, "redis_away") == 0


def test_two_processes_in_one_interpreter_count_apart(metrics: PrometheusMetrics) -> None:
    metrics.call_refused("auth")
    assert sample(PrometheusMetrics(), "rate_limit_refusals_total", policy="auth") is None
