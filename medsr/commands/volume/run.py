"""`medsr volume`: scans in, refined scans out, each with its sidecar and picture."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from medsr.batch import pipeline
from medsr.batch.outcome import Outcome
from medsr.batch.status import Status
from medsr.commands import archive
from medsr.commands.volume import memory
from medsr.commands.volume.arguments import build_request, named_series, open_for, settings_of
from medsr.commands.volume.files import plan, refuse_several_series
from medsr.commands.volume.job import OutputOptions, ScanContext, ScanJob
from medsr.commands.volume.together.job import JoinContext
from medsr.commands.volume.together.request import JoinOptions
from medsr.commands.volume.together.run import join_files
from medsr.core.errors import UsageError
from medsr.core.types import Notify
from medsr.engines.base import Compute
from medsr.io.scans import expand
from medsr.io.volumes import volume_files
from medsr.networks.bundled import AUTO


def volume(
    scans: Any = None,
    out: str | Path | None = None,
    *,
    affine: NDArray | str | Sequence[NDArray | None] | None = None,
    input_spacing: Sequence[float] | None = None,
    model: str | Path = AUTO,
    isotropic: bool = False,
    scale: float | None = None,
    spacing: float | Sequence[float] | None = None,
    planes: str = "auto",
    fuse: Any = "mean",
    consistency: bool = True,
    profile: Any = "box",
    thickness: float | None = None,
    noise: float | None = None,
    uncertainty: bool = False,
    adapt: float | None = None,
    kind: Any = "auto",
    also: Sequence[str | Path] = (),
    series: str | Sequence[str] | None = None,
    dicom: bool = False,
    report: bool = False,
    device: str = "auto",
    engine: str = "auto",
    precision: str = "auto",
    max_gpu_memory: float | None = None,
    compiled: bool = False,
    skip_done: bool = False,
    keep_metadata: bool = False,
    together: bool = False,
    extent: str = "first",
    like: str | Path | None = None,
    registration: bool = True,
    matching: bool = True,
    force: bool = False,
    from_archive: str | None = None,
    study: str | None = None,
    to_archive: str | None = None,
    ca: str | Path | None = None,
    on_outcome: Callable[[Outcome], None] = lambda _: None,
    notify: Notify = lambda _: None,
) -> Any:
    """Super-resolve 3D scans: files, folders of DICOM slices, series of an archive, or one volume in memory.

    At most one of `isotropic`, `scale` and `spacing` says what finer means. Without any, coarser axes are brought to
    the finest, and an isotropic scan to half its spacing.

    Args:
        scans: A path or several. Or a nibabel image, a SimpleITK image, or an array (i, j, k[, t]) with its `affine`.
            With `together` a list of those, too. None: `from_archive` says where they are.
        out: A file, or a folder, in which status.tsv says what became of every scan. Leave it out for a volume in
            memory, or where nothing shall stay here but what goes `to_archive`.
        affine: (4, 4), voxels to mm (RAS), of an array. Of files and nibabel images: `sform` or `qform`, whichever
            is right where the two of a NIfTI header disagree. With `together` a list, a matrix for each array.
        input_spacing: Three numbers in mm, for a header that states no voxel spacing.
        model: `auto` (the bundled one for MRI, cubic for what is known to be something else), `cubic`,
            `back-projected`, `scratch` (with `adapt`), a name from `medsr weights list` or a weight file.
        isotropic: Bring every axis to the finest spacing.
        scale: Factor for every axis, above 1.
        spacing: In mm; one number, or three in the array's order.
        planes: `auto`, `all`, or names with commas (`axial,coronal,sagittal`).
        fuse: `mean`, `median`, `weighted`, `learned`, or the file of a fusion network.
        consistency: Whether the result agrees with the scan, as far as noise allows.
        profile: `box` or `gaussian`, how a slice was acquired across its thickness.
        thickness: Of a slice, in mm. None: what the header says, else the spacing.
        noise: Its standard deviation in the image's units; 0 asks for exact agreement. None: measured.
        uncertainty: Whether the spread over planes and flips is written too.
        adapt: Minutes of learning from the scan itself.
        kind: `auto`, `image` or `labels`.
        also: Other scans of the same session to bring onto the result's grid.
        series: The DICOM series to read, where a folder holds several: a number of the list that `medsr info FOLDER`
            prints, a part of the description, or a UID or its end. `:N` after it names one of its acquisitions.
            With `together` several of one folder. With `from_archive` several of the study.
        dicom: Whether the result is written as a derived DICOM series.
        report: Whether a page with before and after is written.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`, or `gpu` and `gpu:1` for Intel's through OpenVINO.
        engine: `auto`, `torch` or `openvino`.
        precision: As in `medsr.upscale`.
        max_gpu_memory: GB of the GPU's memory that may be used. None: what is free.
        compiled: Whether torch.compile is used.
        skip_done: Leave out what status.tsv calls done, as long as scan, settings and result are the same.
        keep_metadata: Whether results get the texts of the scan's header, which may name a person or a place.
        together: Whether all `scans` become one volume: two or more scans of one body part and contrast, in any
            orientation. Each is registered to the first.
        extent: Of `together`: the box of the `first`, the `union` of all, or their `intersection`.
        like: Of `together`: a file whose grid the result gets.
        registration: Of `together`: whether motion between the scans is looked for. False: their headers are right.
        matching: Of `together`: whether the intensities of all scans are made equal.
        force: Of `together`: do it although the scans do not seem to belong together.
        from_archive: Address of an archive (DICOMweb) that has the scans: https, without a password.
        study: With `from_archive`: the StudyInstanceUID. Where it has several series, `series` names those to take.
        to_archive: Address of an archive that gets each result as a derived DICOM series.
        ca: With an archive: a PEM file with the certificates of the authority that is trusted.
        on_outcome: Called with each outcome as soon as it is there.
        notify: Called with each line that a user should read.

    Returns:
        Files: a list of outcomes, one for each scan, failed ones with their error; with `together` one for
        all. In memory: a `Result` whose `image` is of the type of `scans`, or of the first of them.

    Raises:
        UsageError: An argument is wrong, and nothing was done.
        WeightsError: The model cannot be opened, and nothing was done.
        InputError: A volume in memory is not usable, or an archive does not give the scans (ArchiveError).
        ChoiceError: A study has several series; the message lists them.

    Examples:
        >>> import medsr, numpy
        >>> scan = numpy.random.default_rng(0).random((12, 12, 6), dtype=numpy.float32)
        >>> result = medsr.volume(scan, affine=numpy.diag([1, 1, 2, 1]), model="cubic")
        >>> result.image.shape
        (12, 12, 12)
    """
    arguments = dict(locals())
    if any(arguments[name] is not None for name in archive.PARAMETERS):
        return archive.through_archive(volume, arguments, "scans")
    if scans is None:
        raise UsageError("name a scan, or an archive with `from_archive` and `study`")
    request, options = build_request(
        model=model,
        isotropic=isotropic,
        scale=scale,
        spacing=spacing,
        planes=planes,
        fuse=fuse,
        consistency=consistency,
        profile=profile,
        thickness=thickness,
        noise=noise,
        uncertainty=uncertainty,
        adapt=adapt,
        kind=kind,
        also=also,
        series=None if together else series,
        dicom=dicom,
        report=report,
        affine=affine if affine is None or isinstance(affine, str) else None,
        input_spacing=input_spacing,
        compute=Compute(device, engine, precision, max_gpu_memory, compiled),
        keep_metadata=keep_metadata,
    )
    joining = JoinOptions(together, extent, like, registration, matching, force)
    join_request = joining.request(request, options, skip_done)
    if memory.is_image(scans) or memory.are_images(scans):
        if out is not None or options != OutputOptions() or series:
            raise UsageError("a volume in memory has no files: leave out, also, series, dicom and report away")
        if join_request is not None:
            return memory.join_images(scans, affine, request, join_request, open_for(request))
        return memory.refine_image(scans, affine, request, open_for(request))
    if affine is not None and not isinstance(affine, str):
        raise UsageError("affine: a matrix goes with an array; for files it is sform or qform")
    if join_request is not None:
        join_context = JoinContext(request, join_request, report, notify)
        return join_files(scans, out, named_series(series), join_context, on_outcome)
    if out is None or not str(out):
        raise UsageError("`out`: expected a file or a folder")
    paths: list[str | Path] = [str(scans)] if isinstance(scans, str | os.PathLike) else list(scans)
    expansion = expand(paths, Path(out), options.series)
    if options.series is None:
        refuse_several_series(paths, Path(out), dicom, expansion.scans)
    options = options.of_series(scan.series for scan in expansion.scans)
    if options.also and len(expansion.scans) > 1:
        raise UsageError(f"`also` goes with one scan, not with {len(expansion.scans)}")
    if note := expansion.note():
        notify(note)
    targets, clashes = plan(expansion.scans, Path(out), dicom, options.also, uncertainty)
    refused = [Outcome(scan, scan, 0.0, UsageError(reason)) for scan, reason in clashes]
    opened = open_for(request)
    settings = settings_of(request, options, opened)
    if targets[0].volume == Path(out):
        if skip_done:
            raise UsageError("`skip_done`: `out` names one file; give a folder")
        return pipeline.run([ScanJob(targets[0], ScanContext(request, options, opened, notify))], on_outcome)
    with Status(Path(out), settings, volume_files.digest) as status:
        for outcome in refused:
            on_outcome(outcome)
            status.record(outcome)
        context = ScanContext(request, options, opened, notify, status if skip_done else None)
        jobs = [ScanJob(target, context) for target in targets]
        return refused + pipeline.run(jobs, on_outcome, lambda outcome, _: status.record(outcome))
