"""What a finished job left, as answers with addresses, and as files behind those addresses."""

from __future__ import annotations

from pathlib import Path

from medsr.commands.serve.inspect_upload import PIXELS
from medsr.commands.serve.jobs import UserJob
from medsr.commands.serve.responses import ImageResult, Pixels, VolumeResult
from medsr.commands.serve.run_jobs import ImageOutput, VolumeOutput
from medsr.commands.serve.wording import page_words
from medsr.io.volumes.volume_files import split_suffix


def images(job: UserJob) -> list[ImageResult]:
    """One for each model, in the order asked for."""
    return [_image(job, index) for index in range(len(job.result))]


def _image(job: UserJob, index: int) -> ImageResult:
    output: ImageOutput = job.result[index]
    height, width, channels = output.shape
    return ImageResult(
        model=job.models[index],
        scale=output.scale,
        file_name=_file_name(job, index, output.path.suffix),
        download=_address(job, f"{index}"),
        pixels=Pixels(
            url=_address(job, f"{index}.raw"),
            width=width,
            height=height,
            channels=channels,
            dtype=output.dtype,  # type: ignore[arg-type]
        ),
        seconds=round(output.seconds, 2),
        psnr=output.psnr,
        ssim=output.ssim,
        notes=[page_words(job.without_paths(note)) for note in output.notes],
    )


def volume(job: UserJob) -> VolumeResult:
    """The refined scan."""
    output: VolumeOutput = job.result
    has_uncertainty = output.uncertainty is not None
    return VolumeResult(
        model=job.models[0],
        grid=output.grid,
        file_name=_file_name(job, 0, split_suffix(output.path)[1]),
        download=_address(job, "scan"),
        nifti=_address(job, "view.nii"),
        sidecar=_address(job, "sidecar"),
        uncertainty=_address(job, "uncertainty") if has_uncertainty else None,
        uncertainty_nifti=_address(job, "uncertainty.nii") if has_uncertainty else None,
        uncertainty_p99=output.uncertainty_p99,
        interpolated_nifti=_address(job, "interpolated.nii") if output.interpolated_nifti else None,
        seconds=round(output.seconds, 2),
        notes=[page_words(job.without_paths(note)) for note in output.notes],
    )


def files(job: UserJob) -> dict[str, tuple[Path, str | None]]:
    """Behind each address of a finished job: the file, and what it is called where it is for download."""
    if job.state != "done":
        return {}
    if job.kind == "image":
        entries: dict[str, tuple[Path, str | None]] = {}
        for index, output in enumerate(job.result):
            entries[f"{index}"] = output.path, _file_name(job, index, output.path.suffix)
            entries[f"{index}.raw"] = output.path.with_name(PIXELS), None
        return entries
    output = job.result
    suffix = split_suffix(output.path)[1]
    entries = {
        "scan": (output.path, _file_name(job, 0, suffix)),
        "view.nii": (output.nifti, None),
        "sidecar": (output.sidecar, _file_name(job, 0, ".json")),
    }
    if output.interpolated_nifti is not None:
        entries["interpolated.nii"] = output.interpolated_nifti, None
    if output.uncertainty is not None:
        entries["uncertainty"] = output.uncertainty, _file_name(job, 0, f"_uncertainty{suffix}")
        entries["uncertainty.nii"] = output.uncertainty_nifti, None
    return entries


def _address(job: UserJob, name: str) -> str:
    return f"/api/jobs/{job.id}/results/{name}"


def _file_name(job: UserJob, index: int, ending: str) -> str:
    """The user's own name of the file, then the model's."""
    stem = split_suffix(Path(job.name))[0] if split_suffix(Path(job.name))[1] else Path(job.name).stem
    return f"{stem}_{job.models[index]}{ending}"
