"""The HTTP API: everything the page does, for scripts too. Its description is at /api/openapi.json."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import FileResponse
from starlette.exceptions import HTTPException

from medsr.commands.serve import access
from medsr.commands.serve.dependencies import CurrentUser, OptionalUser, ServiceDep
from medsr.commands.serve.inspect_upload import SeriesChoices
from medsr.commands.serve.responses import (
    About,
    ErrorResponse,
    ImageRequest,
    JobResponse,
    Login,
    ModelResponse,
    UploadResponse,
    VolumeRequest,
)
from medsr.commands.serve.sample import sample_png
from medsr.commands.serve.service import Service
from medsr.commands.serve.uploads import IncomingUpload, name_of
from medsr.core.version import __version__
from medsr.networks import cards

RAW = "application/octet-stream"
BYTES = {RAW: {"schema": {"type": "string", "format": "binary"}}}
ERRORS: dict[int | str, dict[str, Any]] = {
    code: {"model": ErrorResponse} for code in (401, 403, 404, 413, 422, 500, 503)
}
router = APIRouter(prefix="/api", responses=ERRORS)


@router.get("/about")
async def about(service: ServiceDep) -> About:
    """What this server is and takes."""
    limits = service.settings.limits
    return About(
        version=__version__,
        max_upload_bytes=limits.upload,
        max_result_pixels=int(limits.pixels),
        max_result_voxels=int(limits.voxels),
        keep_seconds=int(limits.keep),
    )


@router.post("/login", status_code=204)
async def login(credentials: Login, service: ServiceDep, response: Response) -> None:
    """Exchange the token for a cookie. Scripts may send `Authorization: Bearer TOKEN` with every request instead."""
    token = service.settings.token
    if token is None:
        return
    if not access.equal_in_constant_time(credentials.token, token):
        await asyncio.sleep(1)
        raise HTTPException(401, "that is not this server's token")
    _set_cookie(response, service, access.token_cookie_name(service.settings), access.token_cookie_value(token))


@router.get("/models")
async def models(service: ServiceDep) -> list[ModelResponse]:
    """The models that may be asked for."""
    return [model.response for model in service.models.values()]


@router.get("/models/{name}/card", response_class=FileResponse)
async def card(name: str, service: ServiceDep) -> FileResponse:
    """The card of a model that came with medsr: what it was trained on, its figures and its limits."""
    path = cards.card_path(name) if name in service.models else None
    if path is None:
        raise HTTPException(404, "no such card")
    return FileResponse(path, media_type="text/plain; charset=utf-8")


@router.get("/sample", response_class=Response)
def sample() -> Response:
    """An image to try the server with: a fundus photograph that comes with scikit-image, in the public domain."""
    return Response(sample_png(), media_type="image/png")


@router.post(
    "/files",
    status_code=201,
    openapi_extra={
        "requestBody": {"required": True, "content": {RAW: {"schema": {"type": "string", "format": "binary"}}}}
    },
)
async def upload(
    request: Request,
    response: Response,
    current: OptionalUser,
    service: ServiceDep,
    x_file_name: Annotated[str | None, Header(description="the file's name, percent-encoded")] = None,
    content_length: Annotated[int | None, Header(include_in_schema=False)] = None,
    series: Annotated[int | None, Query(description="which series of a zip that holds several, from 1")] = None,
) -> UploadResponse:
    """Upload one file as the request's body. What it is, its content decides. Sets the cookie of a session."""
    body = request.stream()
    async with service.receiver.refusing(body):
        service.receiver.check(content_length)
    user = current or service.store.new_user()
    # Whoever has no session yet shares turns with others from the same address: a new one would be had for the asking.
    sender = user.id if current else f"new from {request.client.host if request.client else ''}"
    incoming = IncomingUpload(
        name_of(x_file_name), body, sender, partial(_disconnected, request), series, content_length
    )
    try:
        inspected = await service.receiver.take(user, incoming)
    except BaseException:
        if current is None:
            service.store.forget_user(user)  # nobody will ever come back as this one
        raise
    _set_cookie(response, service, access.user_cookie_name(service.settings), user.id)
    if isinstance(inspected, SeriesChoices):
        raise SeveralSeriesError(inspected.series)
    return service.upload_response(inspected)


async def _disconnected(request: Request) -> None:
    """Return once the sender of a request that has been read has closed the connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


class SeveralSeriesError(Exception):
    """A zip of several series, and none was named."""

    def __init__(self, series: tuple[str, ...]) -> None:
        self.series = series


@router.get("/files")
async def files(user: OptionalUser, service: ServiceDep) -> list[UploadResponse]:
    """Your uploads."""
    return [service.upload_response(file) for file in user.files.values()] if user else []


@router.delete("/files/{file}", status_code=204)
async def forget_file(file: str, user: CurrentUser, service: ServiceDep) -> None:
    """Remove an upload, and what was made of it."""
    service.store.forget_file(user, service.file(user, file))


@router.get("/files/{file}/pixels", response_class=FileResponse)
async def file_pixels(file: str, user: CurrentUser, service: ServiceDep) -> FileResponse:
    """An image's stored values, as the upload's answer describes them."""
    return _file(service.pixels_of(service.file(user, file)))


@router.get("/files/{file}/view.nii", response_class=FileResponse)
async def file_nifti(file: str, user: CurrentUser, service: ServiceDep) -> FileResponse:
    """A scan's first volume as NIfTI, for a viewer."""
    return _file(service.nifti_of(service.file(user, file)))


@router.post("/jobs/image", status_code=202)
async def image_job(request: ImageRequest, user: CurrentUser, service: ServiceDep) -> JobResponse:
    """Super-resolve an image."""
    return service.submit_image(user, request)


@router.post("/jobs/volume", status_code=202)
async def volume_job(request: VolumeRequest, user: CurrentUser, service: ServiceDep) -> JobResponse:
    """Refine a scan."""
    return service.submit_volume(user, request)


@router.get("/jobs")
async def jobs(user: OptionalUser, service: ServiceDep) -> list[JobResponse]:
    """Your jobs."""
    return [service.job_response(job) for job in user.jobs.values()] if user else []


@router.get("/jobs/{job}")
async def job_state(job: str, user: CurrentUser, service: ServiceDep) -> JobResponse:
    """How far a job is, and its results."""
    return service.job_response(service.job(user, job))


@router.delete("/jobs/{job}", status_code=204)
async def end_job(job: str, user: CurrentUser, service: ServiceDep) -> None:
    """Cancel a job that waits or runs; remove one that has ended, with its results."""
    service.store.end_job(user, service.job(user, job))


@router.get("/jobs/{job}/results/{name}", response_class=FileResponse)
async def result(job: str, name: str, user: CurrentUser, service: ServiceDep) -> FileResponse:
    """A result: for download, or for the page to show. The addresses are in the job's answer."""
    path, file_name = service.result(service.job(user, job), name)
    return _file(path, file_name)


@router.delete("/session", status_code=204)
async def forget_me(user: CurrentUser, service: ServiceDep, response: Response) -> None:
    """Remove everything of yours from the server, now."""
    service.store.forget_user(user)
    response.delete_cookie(access.user_cookie_name(service.settings))


def _set_cookie(response: Response, service: Service, name: str, value: str) -> None:
    response.set_cookie(name, value, httponly=True, samesite="strict", secure=service.settings.encrypted)


def _file(path: Path, file_name: str | None = None) -> FileResponse:
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(file_name)}"} if file_name else None
    return FileResponse(path, media_type=RAW, headers=headers)
