"""The POST routes: answered only when what was posted is on disk."""

from collections.abc import Sequence

from fastapi import APIRouter
from starlette.responses import Response

from watchdog.api.context import Context
from watchdog.api.documents import IncidentDocument, IncidentPart, KeptDocument
from watchdog.api.posted import (
    AcksPosted,
    CheckpointsPosted,
    MarkPosted,
    RunBeginPosted,
    RunEndPosted,
    StepsPosted,
)
from watchdog.api.reading import answer, unknown_incident
from watchdog.service import Mark, RunRecord


def post_routes(context: Context) -> APIRouter:
    """What runs and persons say."""
    router, service = APIRouter(), context.service

    async def keep(records: Sequence[RunRecord]) -> Response:
        await service.keep(records)
        return answer(KeptDocument(num_kept=len(records), started_at=service.state.started_at))

    @router.post("/v1/runs/begin", response_model=KeptDocument, summary="A rank begins, or goes on after a restart")
    async def begin(body: RunBeginPosted) -> Response:
        return await keep(body.as_records())

    @router.post("/v1/steps", response_model=KeptDocument, summary="Steps of ranks; again is harmless")
    async def steps(body: StepsPosted) -> Response:
        return await keep(body.as_records())

    @router.post("/v1/checkpoints", response_model=KeptDocument, summary="Checkpoints changed their state")
    async def checkpoints(body: CheckpointsPosted) -> Response:
        return await keep(body.as_records())

    @router.post("/v1/acks", response_model=KeptDocument, summary="What a rank did with a signal")
    async def acks(body: AcksPosted) -> Response:
        return await keep(body.as_records())

    @router.post("/v1/runs/end", response_model=KeptDocument, summary="A rank is over")
    async def end(body: RunEndPosted) -> Response:
        return await keep(body.as_records())

    @router.post(
        "/v1/incidents/{incident_id}/mark-healthy",
        response_model=IncidentDocument,
        summary="A person says that it is healthy: a record is added, nothing is deleted",
    )
    async def mark_healthy(incident_id: str, body: MarkPosted) -> Response:
        try:
            mark = Mark(incident=incident_id, by=body.by, reason=body.reason, at=context.clock())
            incident = await service.mark(mark)
        except KeyError as error:
            raise unknown_incident(incident_id) from error
        return answer(IncidentDocument(incident=IncidentPart.model_validate(incident)))

    return router
