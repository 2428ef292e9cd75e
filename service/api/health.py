"""Health, honest and per source; and the metrics."""

from collections.abc import Iterator, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.responses import JSONResponse, PlainTextResponse, Response
from typing_extensions import override

from service.api.resources import AtDesk, resource
from service.api.security import Known, Reader
from service.observe import METRICS
from service.supervisor import SourceStatus
from service.usecases.desk import Desk
from service.usecases.health import health as health_of

router = resource("health")


@router.get("/health/live")
async def live() -> dict[str, str]:
    """Say that the process answers."""
    return {"status": "live"}


@router.get("/health/ready", responses={503: {"description": "Webhooks are refused now."}})
async def ready(caller: Known, desk: AtDesk) -> Response:
    """Say whether webhooks are taken now; 503 when not. With a token: why, and how every source is.

    A source in trouble is shown and does not make the instance unready: the others go on.
    """
    reason = desk.refusing()
    said: dict[str, Any] = {"status": "refusing" if reason else "ready"}
    if caller is not None:
        seen = await health_of(desk)
        said |= {"refusing": reason, "sources": seen["sources"]}
    return JSONResponse(said, status_code=503 if reason else 200)


@router.get("/api/v1/health")
async def health(_caller: Reader, desk: AtDesk) -> dict[str, Any]:
    """Say how the store, every source and every connection are."""
    return await health_of(desk)


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(_caller: Reader, desk: AtDesk) -> Response:
    """Return the metrics in the Prometheus text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(desk, await desk.store.counts()))
    return Response(generate_latest(registry), media_type="text/plain; version=0.0.4; charset=utf-8")


class _Figures(Collector):
    """Reads the plain counters of the running parts, once per scrape."""

    def __init__(self, desk: Desk, counts: dict[str, int]) -> None:
        self.desk = desk
        self.counts = counts

    @override
    def collect(self) -> Iterator[Metric]:
        live, store = self.desk.live, self.desk.store.health()
        if live is None:
            return
        for name, (label, values) in live.counters().items():
            counter = CounterMetricFamily(name, METRICS[name], labels=[label] if label else [])
            for key, value in values.items():
                counter.add_metric([key] if label else [], value)
            yield counter
        yield self._by(
            "pointsman_deliveries", "state", {k: v for k, v in self.counts.items() if "/" not in k}
        )
        connections = live.connections()
        yield self._by(
            "pointsman_connection_up", "connection", {c.name: c.state == "ok" for c in connections}
        )
        yield self._by(
            "pointsman_connection_in_flight", "connection", {c.name: c.in_flight for c in connections}
        )
        waiting = {c.name: live.waiting(c.name) for c in connections}
        yield self._by("pointsman_connection_waiting", "connection", waiting)
        last = {name: at / 1000 for name, at in live.last_messages().items()}
        yield self._by("pointsman_source_last_message_seconds", "source", last)
        yield from self._sources(live.supervisor.statuses())
        yield self._gauge("pointsman_store_writable", float(store.writable))
        yield self._gauge("pointsman_store_queue_age_seconds", store.queue_age_ms / 1000)
        yield self._gauge("pointsman_ingest_connections", live.open_connections())
        yield self._gauge("pointsman_ruleset", live.plan.ruleset.number if live.plan is not None else 0)

    def _sources(self, statuses: Sequence[SourceStatus]) -> Iterator[Metric]:
        state = GaugeMetricFamily(
            "pointsman_source_state", METRICS["pointsman_source_state"], labels=["source", "state"]
        )
        pending = GaugeMetricFamily(
            "pointsman_source_pending", METRICS["pointsman_source_pending"], labels=["source", "unit"]
        )
        for one in statuses:
            state.add_metric([one.name, one.state], 1.0)
            if one.pending is not None:
                pending.add_metric([one.name, one.unit], float(one.pending))
        yield state
        yield pending
        yield self._by("pointsman_source_up", "source", {one.name: one.healthy for one in statuses})
        yield self._by(
            "pointsman_source_warnings", "source", {one.name: len(one.warnings) for one in statuses}
        )
        yield self._by("pointsman_source_stuck", "source", {one.name: one.stuck for one in statuses})

    def _by(self, name: str, label: str, values: dict[str, Any]) -> GaugeMetricFamily:
        family = GaugeMetricFamily(name, METRICS[name], labels=[label])
        for key, value in values.items():
            family.add_metric([key], float(value))
        return family

    def _gauge(self, name: str, value: float) -> GaugeMetricFamily:
        return GaugeMetricFamily(name, METRICS[name], value=value)
