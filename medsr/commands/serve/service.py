"""Between the API and the work: wishes become orders, results become answers with addresses."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import psutil
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from medsr.commands.serve import results
from medsr.commands.serve.available_models import Offer, offers
from medsr.commands.serve.inspect_upload import NIFTI, PIXELS, beside
from medsr.commands.serve.inspectors import PROCESSES, Inspectors
from medsr.commands.serve.jobs import Job, Queue, new_id
from medsr.commands.serve.responses import FileAnswer, ImageFacts, ImageWish, JobAnswer, Pixels, VolumeFacts, VolumeWish
from medsr.commands.serve.run_jobs import ImageOrder, VolumeOrder, make_images, make_volume
from medsr.commands.serve.settings import Settings
from medsr.commands.serve.share import remove
from medsr.commands.serve.store import Store, Upload, User
from medsr.commands.serve.uploads import Receiver, plain
from medsr.commands.serve.worker import Helper
from medsr.core.errors import UsageError
from medsr.volumes.refine import Method
from medsr.volumes.request import Request

PAGE = Path(__file__).parent / "page"
LEAST_READER_MEMORY = 4e9


class Desk:
    """One server's parts. Raises UsageError or WeightsError where a model that was asked for is not there."""

    def __init__(self, settings: Settings) -> None:
        limits = settings.limits
        self.settings = settings
        self.offers: dict[str, Offer] = offers(settings.models)
        self.queue = Queue(Helper(None, limits.minutes * 60), limits.per_user, limits.waiting)
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

    def job(self, user: User, key: str) -> Job:
        """A user's own job."""
        if key not in user.jobs:
            raise HTTPException(404, "no such job of yours; it may have been removed")
        return user.jobs[key]

    def pixels_of(self, upload: Upload) -> Path:
        """What the page shows of an image."""
        return _there(beside(upload.path, PIXELS))

    def nifti_of(self, upload: Upload) -> Path:
        """What the page shows of a scan."""
        return _there(beside(upload.path, NIFTI))

    def file_answer(self, upload: Upload) -> FileAnswer:
        """An upload, for its user."""
        facts = upload.facts
        place = f"/api/files/{upload.id}"
        pixels = nifti = None
        if isinstance(facts, ImageFacts):
            pixels = Pixels(
                url=f"{place}/pixels",
                width=facts.width,
                height=facts.height,
                channels=facts.channels,
                dtype=facts.dtype,
            )
        else:
            nifti = f"{place}/{NIFTI}"
        return FileAnswer(id=upload.id, name=upload.name, bytes=upload.size, facts=facts, pixels=pixels, nifti=nifti)

    def order_image(self, user: User, wish: ImageWish) -> JobAnswer:
        """Queue an image. Raises UsageError for what does not go together, BusyError."""
        upload = self.file(user, wish.file)
        if not isinstance(upload.facts, ImageFacts):
            raise UsageError(f"{upload.name}: is a scan, not an image")
        truth = self.file(user, wish.ground_truth) if wish.ground_truth else None
        if truth is not None and not isinstance(truth.facts, ImageFacts):
            raise UsageError(f"{truth.name}: a ground truth is an image")
        models = [self._offer(name, "image") for name in wish.models]
        order = ImageOrder(
            upload.path,
            user.folder / new_id(),
            tuple(offer.model for offer in models),
            wish.outscale,
            truth.path if truth else None,
            self.settings.compute,
            self.settings.limits.pixels,
            user.share,
        )
        return self._queued(user, upload, Job(user.id, upload.id, "image", tuple(wish.models), make_images, order))

    def order_volume(self, user: User, wish: VolumeWish) -> JobAnswer:
        """Queue a scan. Raises UsageError for what does not go together, BusyError."""
        upload = self.file(user, wish.file)
        if not isinstance(upload.facts, VolumeFacts):
            raise UsageError(f"{upload.name}: is an image, not a scan")
        offer = self._offer(wish.model, "volume")
        request = Request(
            offer.model,
            wish.isotropic,
            wish.scale,
            None if wish.spacing is None else (wish.spacing,),
            Method(uncertainty=wish.uncertainty),
            compute=self.settings.compute,
        )
        folder = user.folder / new_id()
        order = VolumeOrder(upload.path, folder, request, upload.series, self.settings.limits.voxels, user.share)
        return self._queued(user, upload, Job(user.id, upload.id, "volume", (wish.model,), make_volume, order))

    def _queued(self, user: User, upload: Upload, job: Job) -> JobAnswer:
        job.name, job.tidy = upload.name, lambda text: plain(text, self.store.folder, upload.name)
        job.discard = partial(remove, job.order.folder)
        upload.used = time.monotonic()
        self.store.add_job(user, job)
        return self.job_answer(job)

    def _offer(self, name: str, kind: str) -> Offer:
        offer = self.offers.get(name)
        if offer is None or offer.answer.kind != kind:
            there = ", ".join(one for one, other in self.offers.items() if other.answer.kind == kind)
            raise UsageError(f"{name}: no model for this here; there are {there}")
        return offer

    def job_answer(self, job: Job) -> JobAnswer:
        """How a job stands, for its user."""
        answer = JobAnswer(
            id=job.id,
            file=job.file,
            kind=job.kind,
            state=job.state,
            place=self.queue.place(job),
            progress=round(job.progress, 4),
            seconds_left=job.seconds_left,
            doing=job.doing,
            error=job.error and job.tidy(job.error),
        )
        if job.state == "done" and job.kind == "image":
            answer.images = results.images(job)
        elif job.state == "done":
            answer.volume = results.volume(job)
        return answer

    def result(self, job: Job, name: str) -> tuple[Path, str | None]:
        """A result's file by the last part of its address, and what it is called when downloaded."""
        found = results.files(job).get(name)
        if found is None:
            raise HTTPException(404, "no such result")
        return _there(found[0]), found[1]


def _there(path: Path) -> Path:
    if not path.is_file():
        raise HTTPException(404, "it has been removed")
    return path


def _reader_memory() -> int:
    """What one process that inspects may take of the free memory: a file that unpacks to more is refused."""
    return int(max(LEAST_READER_MEMORY, psutil.virtual_memory().available / PROCESSES))
