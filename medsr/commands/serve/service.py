"""Between the API and the work: requests become tasks, results become responses with addresses."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from medsr.commands.serve import results
from medsr.commands.serve.available_models import AvailableModel, available_models
from medsr.commands.serve.inspect_upload import NIFTI, PIXELS, view_path
from medsr.commands.serve.inspectors import PROCESSES, Inspectors
from medsr.commands.serve.jobs import Queue, UserJob, new_id
from medsr.commands.serve.quota import remove
from medsr.commands.serve.responses import (
    ImageFacts,
    ImageRequest,
    JobResponse,
    Pixels,
    UploadResponse,
    VolumeFacts,
    VolumeRequest,
)
from medsr.commands.serve.run_jobs import ImageTask, VolumeTask, run_image_task, run_volume_task
from medsr.commands.serve.settings import Settings
from medsr.commands.serve.store import Store, Upload, User
from medsr.commands.serve.uploads import Receiver, without_paths
from medsr.commands.serve.wording import page_words
from medsr.commands.serve.worker import Worker
from medsr.commands.upscale.models import DEFAULT_SCALE
from medsr.core import memory
from medsr.core.errors import UsageError
from medsr.networks.bundled import AUTO
from medsr.volumes.choose_model import NEAREST
from medsr.volumes.refine import Method
from medsr.volumes.request import Request

PAGE = Path(__file__).parent / "page"
MIN_READER_MEMORY = 4e9


class Service:
    """One server's parts. Raises UsageError or WeightsError where a model that was asked for is not there."""

    def __init__(self, settings: Settings) -> None:
        limits = settings.limits
        self.settings = settings
        self.models: dict[str, AvailableModel] = available_models(settings.models)
        self.queue = Queue(Worker(None, limits.minutes * 60), limits.per_user, limits.waiting)
        self.store = Store(settings.folder, limits, self.queue)
        self.receiver = Receiver(self.store, Inspectors(_reader_memory(), limits.inspection), limits)

    def close(self) -> None:
        """End the children and remove every file."""
        self.receiver.close()
        self.queue.close()
        self.store.close()

    def serve_page(self, app: FastAPI) -> None:
        """The page itself, from this package's own files."""
        app.mount("/", StaticFiles(directory=PAGE, html=True))

    def file(self, user: User, key: str) -> Upload:
        """A user's own upload; others' are not there."""
        if key not in user.files:
            raise HTTPException(404, "no such file of yours; it may have been removed")
        return user.files[key]

    def job(self, user: User, key: str) -> UserJob:
        """A user's own job."""
        if key not in user.jobs:
            raise HTTPException(404, "no such job of yours; it may have been removed")
        return user.jobs[key]

    def pixels_of(self, upload: Upload) -> Path:
        """What the page shows of an image."""
        return _existing(view_path(upload.path, PIXELS))

    def nifti_of(self, upload: Upload) -> Path:
        """What the page shows of a scan."""
        return _existing(view_path(upload.path, NIFTI))

    def upload_response(self, upload: Upload) -> UploadResponse:
        """An upload, for its user."""
        facts = upload.facts
        address = f"/api/files/{upload.id}"
        pixels = nifti = None
        if isinstance(facts, ImageFacts):
            pixels = Pixels(
                url=f"{address}/pixels",
                width=facts.width,
                height=facts.height,
                channels=facts.channels,
                dtype=facts.dtype,
            )
        else:
            nifti = f"{address}/{NIFTI}"
        return UploadResponse(
            id=upload.id, name=upload.name, bytes=upload.size, facts=facts, pixels=pixels, nifti=nifti
        )

    def submit_image(self, user: User, request: ImageRequest) -> JobResponse:
        """Queue an image. Raises UsageError for what does not go together, BusyError."""
        upload = self.file(user, request.file)
        if not isinstance(upload.facts, ImageFacts):
            raise UsageError(f"{upload.name}: is a scan, not an image")
        truth = self.file(user, request.ground_truth) if request.ground_truth else None
        if truth is not None and not isinstance(truth.facts, ImageFacts):
            raise UsageError(f"{truth.name}: a ground truth is an image")
        names = [_suggested(upload.facts, request.outscale) if name == AUTO else name for name in request.models]
        models = [self._model(name, "image") for name in names]
        task = ImageTask(
            upload.path,
            user.folder / new_id(),
            tuple(model.source for model in models),
            request.outscale,
            truth.path if truth else None,
            self.settings.compute,
            self.settings.limits.pixels,
            user.quota,
        )
        job = UserJob(user.id, upload.id, "image", tuple(names), run_image_task, task)
        return self._enqueue(user, upload, job)

    def submit_volume(self, user: User, request: VolumeRequest) -> JobResponse:
        """Queue a scan. Raises UsageError for what does not go together, BusyError."""
        upload = self.file(user, request.file)
        if not isinstance(upload.facts, VolumeFacts):
            raise UsageError(f"{upload.name}: is an image, not a scan")
        name = upload.facts.suggested if request.model == AUTO else request.model
        model = self._model(name, "volume")
        nearest = name == NEAREST
        refinement = Request(
            "cubic" if nearest else model.source,
            request.isotropic,
            request.scale,
            None if request.spacing is None else (request.spacing,),
            Method(uncertainty=request.uncertainty and not nearest),
            kind="labels" if nearest else "auto",
            compute=self.settings.compute,
        )
        folder = user.folder / new_id()
        task = VolumeTask(upload.path, folder, refinement, upload.series, self.settings.limits.voxels, user.quota)
        job = UserJob(user.id, upload.id, "volume", (name,), run_volume_task, task)
        return self._enqueue(user, upload, job)

    def _enqueue(self, user: User, upload: Upload, job: UserJob) -> JobResponse:
        job.name, job.without_paths = upload.name, lambda text: without_paths(text, self.store.folder, upload.name)
        job.discard = partial(remove, job.task.folder)
        upload.used = time.monotonic()
        self.store.add_job(user, job)
        return self.job_response(job)

    def _model(self, name: str, kind: str) -> AvailableModel:
        model = self.models.get(name)
        if model is None or model.response.kind != kind:
            alike = ", ".join(key for key, other in self.models.items() if other.response.kind == kind)
            raise UsageError(f"{name}: no model for this here; there are {alike}")
        return model

    def job_response(self, job: UserJob) -> JobResponse:
        """How a job stands, for its user."""
        response = JobResponse(
            id=job.id,
            file=job.file,
            kind=job.kind,
            state=job.state,
            place=self.queue.position(job),
            progress=round(job.progress, 4),
            seconds_left=job.seconds_left,
            doing=job.doing,
            error=job.error and page_words(job.without_paths(job.error)),
        )
        if job.state == "done" and job.kind == "image":
            response.images = results.images(job)
        elif job.state == "done":
            response.volume = results.volume(job)
        return response

    def result(self, job: UserJob, name: str) -> tuple[Path, str | None]:
        """A result's file by the last part of its address, and what it is called when downloaded."""
        files = results.files(job)
        if name not in files:
            raise HTTPException(404, "no such result")
        path, file_name = files[name]
        return _existing(path), file_name


def _suggested(facts: ImageFacts, outscale: float | None) -> str:
    """The model that suits an image at that final factor."""
    factor = outscale or DEFAULT_SCALE
    return next(entry.model for entry in facts.by_factor if entry.up_to is None or factor <= entry.up_to)


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise HTTPException(404, "it has been removed")
    return path


def _reader_memory() -> int:
    """What one process that inspects may take of the free memory: a file that unpacks to more is refused."""
    return int(max(MIN_READER_MEMORY, memory.free() / PROCESSES))
