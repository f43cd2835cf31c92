"""Refusals as JSON: each says what was wrong and what to do. Bad input is never a 5xx."""

from collections.abc import Iterable, Mapping, Sequence

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from watchdog.api.documents import ErrorDocument, render
from watchdog.vocabulary.errors import StoreError, nearest

MOST_PROBLEMS = 3
"""Named in one answer about a body."""
_TEXTS = {400: "the request can't be read", 404: "no such path", 405: "no such method for this path"}
_SEE = "see /v1/openapi.json"


class Refusal(Exception):  # noqa: N818 - an answer, not a failure of ours
    """A request is refused with a status, a sentence and a hint."""

    def __init__(self, status: int, error: str, hint: str = _SEE, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(error)
        self.status, self.error, self.hint, self.headers = status, error, hint, headers

    @property
    def response(self) -> Response:
        """As it is sent."""
        document = ErrorDocument(error=self.error, hint=self.hint)
        return Response(render(document), self.status, dict(self.headers or {}), "application/json")


def answer_errors(app: FastAPI, paths: Sequence[str]) -> None:
    """Have every error of `app`, which knows `paths`, answered by a `Refusal` and counted in ``rejected``."""
    rejected = app.state.context.rejected

    def answer(refusal: Refusal) -> Response:
        rejected[refusal.status] += 1
        return refusal.response

    async def on_refusal(_request: Request, error: Exception) -> Response:
        assert isinstance(error, Refusal)
        return answer(error)

    async def on_invalid(_request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return answer(Refusal(422, describe(error.errors())))

    async def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return answer(_http_refusal(request, error, paths))

    async def on_store(_request: Request, error: Exception) -> Response:
        hint = "send it again after a second; it was not kept"
        return answer(Refusal(503, f"{error}", hint, {"Retry-After": "1"}))

    app.add_exception_handler(Refusal, on_refusal)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(StoreError, on_store)


def describe(problems: Iterable[Mapping[str, object]]) -> str:
    """``steps.0.loss: Input should be a valid number``; the first few, on one line."""
    texts = []
    for problem in problems:
        place = problem["loc"]
        assert isinstance(place, tuple)
        where = ".".join(str(step) for step in place[1:]) or str(place[0])
        message = str(problem["msg"]).removeprefix("Value error, ")
        texts.append(f"{where}: {message}")
    more = f" (and {len(texts) - MOST_PROBLEMS} more)" if len(texts) > MOST_PROBLEMS else ""
    return "; ".join(texts[:MOST_PROBLEMS]) + more


def _http_refusal(request: Request, error: HTTPException, paths: Iterable[str]) -> Refusal:
    """What the router refuses itself: paths, methods, unreadable bodies."""
    path = request.url.path[:200]
    text = _TEXTS.get(error.status_code, str(error.detail))
    hint = nearest(path, paths).removeprefix("; ") if error.status_code == 404 else _SEE
    return Refusal(error.status_code, f"{request.method} {path}: {text}", hint, error.headers)
