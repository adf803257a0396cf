"""The application: the page, the API, the access check before both, and how every failure is answered."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from medsr.commands.serve import access
from medsr.commands.serve.api import SeveralSeriesError, router
from medsr.commands.serve.quota import BusyError
from medsr.commands.serve.responses import ErrorResponse
from medsr.commands.serve.service import Service
from medsr.commands.serve.store import SessionEndedError
from medsr.commands.serve.uploads import TooLargeError
from medsr.commands.serve.wording import page_words
from medsr.commands.serve.worker import BugError
from medsr.core.errors import InputError, MedsrError, UsageError
from medsr.core.text import names_only, shown
from medsr.core.version import __version__

STATUS: dict[type[MedsrError], int] = {
    SessionEndedError: 410,
    TooLargeError: 413,
    BusyError: 503,
    BugError: 500,
    InputError: 422,
    UsageError: 422,
}
LOG = logging.getLogger("uvicorn.error")


def make_app(service: Service) -> access.AccessMiddleware:
    """The application: the page, the API, and the access check before both."""
    app = FastAPI(
        title="medsr serve",
        version=__version__,
        description="Super-resolve medical images and scans. Research use only; not a medical device.",
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
    )
    app.state.service = service
    app.include_router(router)
    service.serve_page(app)
    app.add_exception_handler(MedsrError, _on_medsr_error)
    app.add_exception_handler(SeveralSeriesError, _on_several_series)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(Exception, _on_bug)
    return access.AccessMiddleware(app, service.settings)


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    service: Service = app.state.service

    async def sweep() -> None:
        while True:
            await asyncio.sleep(min(30.0, service.settings.limits.keep / 4))
            try:
                await asyncio.to_thread(service.store.sweep)
            except Exception:  # what cannot be removed now can be later: sweeping must go on
                LOG.exception("sweeping")

    sweeper = asyncio.create_task(sweep())
    try:
        yield
    finally:
        sweeper.cancel()
        service.close()


def _error_response(text: str, status: int, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """One line for a person: nothing in it moves a terminal, and no folder of the server's."""
    return JSONResponse({"error": names_only(shown(" ".join(text.split())))}, status, headers)


async def _on_medsr_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, MedsrError)
    status = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 422)
    headers = {"Retry-After": "5"} if status == 503 else None
    # An upload that is refused half way is not read to its end: say so, or the sender would wait.
    headers = {"Connection": "close"} if status == 413 else headers
    return _error_response(page_words(str(error)), status, headers)


async def _on_bug(_: Request, error: Exception) -> JSONResponse:
    """A bug of ours: the server's log has it, the user does not."""
    return _error_response(str(BugError()), 500)


async def _on_several_series(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, SeveralSeriesError)
    response = ErrorResponse(error=f"this zip holds {len(error.series)} series: choose one", choices=list(error.series))
    return JSONResponse(response.model_dump(), 422)


async def _on_http_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return _error_response(error.detail, error.status_code, error.headers)


async def _on_invalid_request(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:]) or "the request"
    return _error_response(f"{where}: {first['msg']}", 422)
