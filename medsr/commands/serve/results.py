"""What a finished job left, as answers with addresses, and as files behind those addresses."""

from __future__ import annotations

from pathlib import Path

from medsr.commands.serve.inspect_upload import PIXELS
from medsr.commands.serve.jobs import Job
from medsr.commands.serve.responses import ImageResult, Pixels, VolumeResult
from medsr.commands.serve.run_jobs import MadeImage, MadeVolume
from medsr.io.volumes.volume_files import split_suffix


def images(job: Job) -> list[ImageResult]:
    """One for each model, in the order asked for."""
    return [_image(job, index) for index in range(len(job.result))]


def _image(job: Job, index: int) -> ImageResult:
    made: MadeImage = job.result[index]
    height, width, channels = made.shape
    return ImageResult(
        model=job.models[index],
        scale=made.scale,
        file_name=_called(job, index, made.path.suffix),
        download=_address(job, f"{index}"),
        pixels=Pixels(
            url=_address(job, f"{index}.raw"),
            width=width,
            height=height,
            channels=channels,
            dtype=made.dtype,  # type: ignore[arg-type]
        ),
        seconds=round(made.seconds, 2),
        psnr=made.psnr,
        ssim=made.ssim,
        notes=[job.tidy(note) for note in made.notes],
    )


def volume(job: Job) -> VolumeResult:
    """The refined scan."""
    made: MadeVolume = job.result
    spread = made.uncertainty is not None
    return VolumeResult(
        model=job.models[0],
        grid=made.grid,
        file_name=_called(job, 0, split_suffix(made.path)[1]),
        download=_address(job, "scan"),
        nifti=_address(job, "view.nii"),
        sidecar=_address(job, "sidecar"),
        uncertainty=_address(job, "uncertainty") if spread else None,
        uncertainty_nifti=_address(job, "uncertainty.nii") if spread else None,
        uncertainty_p99=made.uncertainty_p99,
        seconds=round(made.seconds, 2),
        notes=[job.tidy(note) for note in made.notes],
    )


def files(job: Job) -> dict[str, tuple[Path, str | None]]:
    """Behind each address of a finished job: the file, and what it is called where it is for download."""
    if job.state != "done":
        return {}
    if job.kind == "image":
        found: dict[str, tuple[Path, str | None]] = {}
        for index, made in enumerate(job.result):
            found[f"{index}"] = made.path, _called(job, index, made.path.suffix)
            found[f"{index}.raw"] = made.path.with_name(PIXELS), None
        return found
    made = job.result
    suffix = split_suffix(made.path)[1]
    found = {
        "scan": (made.path, _called(job, 0, suffix)),
        "view.nii": (made.nifti, None),
        "sidecar": (made.sidecar, _called(job, 0, ".json")),
    }
    if made.uncertainty is not None:
        found["uncertainty"] = made.uncertainty, _called(job, 0, f"_uncertainty{suffix}")
        found["uncertainty.nii"] = made.uncertainty_nifti, None
    return found


def _address(job: Job, name: str) -> str:
    return f"/api/jobs/{job.id}/results/{name}"


def _called(job: Job, index: int, ending: str) -> str:
    """The user's own name of the file, then the model's."""
    stem = split_suffix(Path(job.name))[0] if split_suffix(Path(job.name))[1] else Path(job.name).stem
    return f"{stem}_{job.models[index]}{ending}"
