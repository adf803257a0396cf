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
from medsr.commands.serve.asker import Anybody, Asking, AtDesk
from medsr.commands.serve.inspect_upload import Choices
from medsr.commands.serve.responses import (
    About,
    ErrorAnswer,
    FileAnswer,
    ImageWish,
    JobAnswer,
    Login,
    ModelAnswer,
    VolumeWish,
)
from medsr.commands.serve.service import Desk
from medsr.commands.serve.uploads import Sending, name_of
from medsr.core.version import __version__

RAW = "application/octet-stream"
BYTES = {RAW: {"schema": {"type": "string", "format": "binary"}}}
ERRORS: dict[int | str, dict[str, Any]] = {code: {"model": ErrorAnswer} for code in (401, 403, 404, 413, 422, 500, 503)}
router = APIRouter(prefix="/api", responses=ERRORS)


@router.get("/about")
async def about(desk: AtDesk) -> About:
    """What this server is and takes."""
    limits = desk.settings.limits
    return About(
        version=__version__,
        max_upload_bytes=limits.upload,
        max_result_pixels=int(limits.pixels),
        max_result_voxels=int(limits.voxels),
        keep_seconds=int(limits.keep),
    )


@router.post("/login", status_code=204)
async def login(wish: Login, desk: AtDesk, response: Response) -> None:
    """Exchange the token for a cookie. Scripts may send `Authorization: Bearer TOKEN` with every request instead."""
    token = desk.settings.token
    if token is None:
        return
    if not access.same(wish.token, token):
        await asyncio.sleep(1)
        raise HTTPException(401, "that is not this server's token")
    _set_cookie(response, desk, access.pass_name(desk.settings), access.pass_value(token))


@router.get("/models")
async def models(desk: AtDesk) -> list[ModelAnswer]:
    """The models that may be asked for."""
    return [offer.answer for offer in desk.offers.values()]


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
    known: Anybody,
    desk: AtDesk,
    x_file_name: Annotated[str | None, Header(description="the file's name, percent-encoded")] = None,
    content_length: Annotated[int | None, Header(include_in_schema=False)] = None,
    series: Annotated[int | None, Query(description="which series of a zip that holds several, from 1")] = None,
) -> FileAnswer:
    """Upload one file as the request's body. What it is, its content decides. Sets the cookie of a session."""
    body = request.stream()
    async with desk.receiver.refusing(body):
        desk.receiver.check(content_length)
    user = known or desk.store.new_user()
    # Whoever has no session yet shares turns with others from the same address: a new one would be had for the asking.
    sender = user.id if known else f"new from {request.client.host if request.client else ''}"
    sending = Sending(name_of(x_file_name), body, sender, partial(_gone, request), series, content_length)
    try:
        found = await desk.receiver.take(user, sending)
    except BaseException:
        if known is None:
            desk.store.forget_user(user)  # nobody will ever come back as this one
        raise
    _set_cookie(response, desk, access.user_name(desk.settings), user.id)
    if isinstance(found, Choices):
        raise SeveralSeriesError(found.series)
    return desk.file_answer(found)


async def _gone(request: Request) -> None:
    """Return once the sender of a request that has been read has closed the connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


class SeveralSeriesError(Exception):
    """A zip of several series, and none was named."""

    def __init__(self, series: tuple[str, ...]) -> None:
        self.series = series


@router.get("/files")
async def files(user: Anybody, desk: AtDesk) -> list[FileAnswer]:
    """Your uploads."""
    return [desk.file_answer(one) for one in user.files.values()] if user else []


@router.delete("/files/{file}", status_code=204)
async def forget_file(file: str, user: Asking, desk: AtDesk) -> None:
    """Remove an upload, and what was made of it."""
    desk.store.forget_file(user, desk.file(user, file))


@router.get("/files/{file}/pixels", response_class=FileResponse)
async def file_pixels(file: str, user: Asking, desk: AtDesk) -> FileResponse:
    """An image's stored values, as the upload's answer describes them."""
    return _file(desk.pixels_of(desk.file(user, file)))


@router.get("/files/{file}/view.nii", response_class=FileResponse)
async def file_nifti(file: str, user: Asking, desk: AtDesk) -> FileResponse:
    """A scan's first volume as NIfTI, for a viewer."""
    return _file(desk.nifti_of(desk.file(user, file)))


@router.post("/jobs/image", status_code=202)
async def image_job(wish: ImageWish, user: Asking, desk: AtDesk) -> JobAnswer:
    """Super-resolve an image."""
    return desk.order_image(user, wish)


@router.post("/jobs/volume", status_code=202)
async def volume_job(wish: VolumeWish, user: Asking, desk: AtDesk) -> JobAnswer:
    """Refine a scan."""
    return desk.order_volume(user, wish)


@router.get("/jobs")
async def jobs(user: Anybody, desk: AtDesk) -> list[JobAnswer]:
    """Your jobs."""
    return [desk.job_answer(one) for one in user.jobs.values()] if user else []


@router.get("/jobs/{job}")
async def job_state(job: str, user: Asking, desk: AtDesk) -> JobAnswer:
    """How far a job is, and its results."""
    return desk.job_answer(desk.job(user, job))


@router.delete("/jobs/{job}", status_code=204)
async def end_job(job: str, user: Asking, desk: AtDesk) -> None:
    """Cancel a job that waits or runs; remove one that has ended, with its results."""
    desk.store.end_job(user, desk.job(user, job))


@router.get("/jobs/{job}/results/{name}", response_class=FileResponse)
async def result(job: str, name: str, user: Asking, desk: AtDesk) -> FileResponse:
    """A result: for download, or for the page to show. The addresses are in the job's answer."""
    path, called = desk.result(desk.job(user, job), name)
    return _file(path, called)


@router.delete("/session", status_code=204)
async def forget_me(user: Asking, desk: AtDesk, response: Response) -> None:
    """Remove everything of yours from the server, now."""
    desk.store.forget_user(user)
    response.delete_cookie(access.user_name(desk.settings))


def _set_cookie(response: Response, desk: Desk, name: str, value: str) -> None:
    response.set_cookie(name, value, httponly=True, samesite="strict", secure=desk.settings.encrypted)


def _file(path: Path, called: str | None = None) -> FileResponse:
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(called)}"} if called else None
    return FileResponse(path, media_type=RAW, headers=headers)
