"""The GET routes."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import PlainTextResponse, Response

from watchdog.api.asked import Nothing, SamplesAsked, SignalAsked, SinceAsked, StepsAsked
from watchdog.api.context import Context
from watchdog.api.documents import (
    AliveDocument,
    Document,
    EventPart,
    EventsDocument,
    FindingPart,
    FindingsDocument,
    HealthDocument,
    IncidentDocument,
    IncidentPart,
    IncidentsDocument,
    RowPart,
    RunPart,
    RunsDocument,
    SamplesDocument,
    SignalDocument,
    StateDocument,
    StepPart,
    StepsDocument,
    render,
)
from watchdog.api.errors import Refusal
from watchdog.api.following import Follower
from watchdog.api.states import health_document, signal_for, signal_part, state_document
from watchdog.api.stream import StateStream
from watchdog.vocabulary.incidents import Incident
from watchdog.vocabulary.signals import Signal
from watchdog.vocabulary.subjects import Subject

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Prometheus' text format."""
MOST_INCIDENTS = 10_000
"""Looked through for one that is no longer in the published state."""

NoQuery = Annotated[Nothing, Query()]


def answer(document: Document) -> Response:
    """The document as the answer."""
    return Response(render(document), media_type="application/json")


def now_routes(context: Context) -> APIRouter:
    """What is published: answered from memory."""
    router, service = APIRouter(), context.service

    @router.get("/healthz", response_model=AliveDocument, summary="The daemon answers; needs no token")
    async def healthz(_: NoQuery) -> Response:
        state = service.state
        return answer(AliveDocument(daemon=state.version, started_at=state.started_at))

    @router.get("/v1/health", response_model=HealthDocument, summary="How the node is, in one word")
    async def health(_: NoQuery) -> Response:
        return answer(health_document(service.state, context.clock(), context.limits.stale_seconds))

    @router.get("/v1/state", response_model=StateDocument, summary="Everything that is known now")
    async def state(_: NoQuery) -> Response:
        return answer(state_document(service.state))

    @router.get("/v1/findings", response_model=FindingsDocument, summary="What is wrong or not known now")
    async def findings(_: NoQuery) -> Response:
        state = service.state
        parts = tuple(map(FindingPart.model_validate, state.findings))
        return answer(FindingsDocument(node=state.node, at=state.at, findings=parts))

    @router.get("/v1/runs", response_model=RunsDocument, summary="Training runs on this node")
    async def runs(_: NoQuery) -> Response:
        return answer(RunsDocument(runs=tuple(map(RunPart.model_validate, service.state.runs))))

    @router.get("/v1/signal", response_model=SignalDocument, summary="What a run is asked to do; can wait for a change")
    async def signal(query: Annotated[SignalAsked, Query()]) -> Response:
        found = await wait_for_signal(context, query)
        return answer(SignalDocument(at=context.clock(), signal=signal_part(found)))

    @router.get(
        "/v1/stream",
        response_class=Response,
        responses={200: {"content": {StateStream.media_type: {}}}},
        summary="States as server-sent events: the present one, then each change",
    )
    async def stream(_: NoQuery) -> Response:
        return StateStream(context)

    @router.get("/metrics", response_class=PlainTextResponse, summary="For Prometheus")
    async def metrics(_: NoQuery) -> Response:
        if context.render_metrics is None:
            raise Refusal(404, "this daemon exports no metrics", "switch the exporter on in its settings")
        return Response(context.render_metrics(), media_type=METRICS_TYPE)

    return router


def kept_routes(context: Context) -> APIRouter:
    """What is in the store."""
    router, service = APIRouter(), context.service

    @router.get("/v1/incidents", response_model=IncidentsDocument, summary="Kept incidents, newest first")
    async def incidents(query: Annotated[SinceAsked, Query()]) -> Response:
        found = await service.incidents(query.since, query.limit)
        return answer(IncidentsDocument(incidents=tuple(map(IncidentPart.model_validate, found))))

    @router.get("/v1/incidents/{incident_id}", response_model=IncidentDocument, summary="One incident")
    async def incident(incident_id: str, _: NoQuery) -> Response:
        found = await find_incident(context, incident_id)
        return answer(IncidentDocument(incident=IncidentPart.model_validate(found)))

    @router.get("/v1/samples", response_model=SamplesDocument, summary="Kept rows of one subject, oldest first")
    async def samples(query: Annotated[SamplesAsked, Query()]) -> Response:
        try:
            subject = Subject.parse(query.subject)
        except ValueError as error:
            raise Refusal(422, f"subject: {error}", "write node001 or node001/gpu:UUID, as in /v1/state") from error
        found = await service.rows(subject, query.since, query.limit)
        return answer(SamplesDocument(rows=tuple(map(RowPart.model_validate, found))))

    @router.get("/v1/events", response_model=EventsDocument, summary="Kept events, oldest first")
    async def events(query: Annotated[SinceAsked, Query()]) -> Response:
        found = await service.events(query.since, query.limit)
        return answer(EventsDocument(events=tuple(map(EventPart.model_validate, found))))

    @router.get("/v1/steps", response_model=StepsDocument, summary="Kept steps of a run, oldest first")
    async def steps(query: Annotated[StepsAsked, Query()]) -> Response:
        found = await service.steps(query.run, query.since_step, query.limit)
        return answer(StepsDocument(steps=tuple(map(StepPart.model_validate, found))))

    return router


async def find_incident(context: Context, incident_id: str) -> Incident:
    """From the published state, else from the store; raises a 404 `Refusal`."""
    for incident in context.service.state.incidents:
        if incident.id == incident_id:
            return incident
    for incident in await context.service.incidents(0.0, MOST_INCIDENTS):
        if incident.id == incident_id:
            return incident
    raise unknown_incident(incident_id)


def unknown_incident(incident_id: str) -> Refusal:
    """As it is answered."""
    return Refusal(404, f"no incident {incident_id[:100]!r}", "see /v1/incidents for the known ones")


async def wait_for_signal(context: Context, query: SignalAsked) -> Signal | None:
    """The run's signal: at once when it is another than the known one, else when it changes or the wait is over."""

    def present() -> Signal | None:
        return signal_for(context.service.state, query.run, context.clock())

    wait = min(query.wait_seconds, context.limits.wait_seconds)
    if not wait or _id(present()) != query.known:
        return present()
    loop = asyncio.get_running_loop()
    deadline = loop.time() + wait
    async with Follower(context) as follower:
        while _id(present()) == query.known and not follower.is_over and loop.time() < deadline:
            await follower.next(deadline - loop.time())
    return present()


def _id(signal: Signal | None) -> str:
    return "" if signal is None else signal.id
