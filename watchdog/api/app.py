"""The application: routes under /v1, refusals as JSON, limits in front."""

import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from watchdog.api.context import Context
from watchdog.api.documents import ErrorDocument
from watchdog.api.errors import answer_errors
from watchdog.api.guard import Guard
from watchdog.api.limits import ApiLimits
from watchdog.api.posting import post_routes
from watchdog.api.reading import kept_routes, now_routes
from watchdog.service import Service

_REFUSALS = {
    400: "Can't be read as HTTP or JSON",
    401: "No token, or a wrong one",
    404: "Not known here",
    405: "No such method",
    408: "The body came too slowly",
    413: "The body is too large",
    422: "A field or parameter is wrong or unknown",
    429: "Too many requests, streams or buffered bytes",
    500: "A fault of the daemon",
    503: "Not kept: send it again",
}


def make_app(
    service: Service,
    *,
    token: str | None,
    limits: ApiLimits,
    render_metrics: Callable[[], str] | None = None,
    clock: Callable[[], float] = time.time,
) -> FastAPI:
    """The API over `service`. With a `token` every request but /healthz must bear it.

    `clock` gives Unix seconds as the daemon sees them; `render_metrics` is called at each GET of /metrics.
    ``app.state.context`` holds the counts of refusals, and the event that ends streams when the daemon stops.
    """
    responses: dict[int | str, dict[str, Any]] = {
        status: {"model": ErrorDocument, "description": text} for status, text in _REFUSALS.items()
    }
    app = FastAPI(
        title="fryer watch",
        version=version("fryer"),
        summary="One node's daemon: what it knows, and what a training run tells it",
        docs_url=None,  # those pages load scripts from the internet
        redoc_url=None,
        openapi_url="/v1/openapi.json",
        redirect_slashes=False,
        responses=responses,
    )
    context = Context(service=service, limits=limits, clock=clock, render_metrics=render_metrics)
    app.state.context = context
    routers = [now_routes(context), kept_routes(context), post_routes(context)]
    for router in routers:
        app.include_router(router)
    answer_errors(app, [route.path for router in routers for route in router.routes if isinstance(route, APIRoute)])
    app.add_middleware(Guard, context=context, token=token)
    return app
