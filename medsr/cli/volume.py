"""`medsr volume`"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from medsr.cli.batch import (
    CA,
    COMPILE,
    ENGINE,
    FROM_ARCHIVE,
    KEEP_METADATA,
    MAX_GPU_MEMORY,
    PRECISION,
    STUDY,
    TO_ARCHIVE,
    end,
    report_failure,
)
from medsr.cli.echo import echo
from medsr.cli.minutes import MINUTES
from medsr.io.volumes.formats import BY_NAME

TOGETHER = {"together", "extent", "like", "no_registration", "no_matching", "force"}
"""Options of several scans that become one volume."""
if TYPE_CHECKING:
    from medsr.batch.outcome import Outcome


def volume(
    scans: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SCAN...]", help=f"{', '.join(BY_NAME)}, DICOM folders or zips, globs."),
    ] = None,
    out: Annotated[
        str | None, typer.Option(metavar="FILE|DIR", help="File for one scan, or folder. Not needed with --to.")
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            help="auto (the bundled one where it was made for such scans), cubic, back-projected, "
            "scratch (with --adapt), a name from `medsr weights list`, or a weight file."
        ),
    ] = "auto",
    isotropic: Annotated[
        bool, typer.Option("--isotropic", help="Every axis as fine as the finest. [default where one is coarser]")
    ] = False,
    scale: Annotated[
        float | None, typer.Option(help="Every axis finer by this factor. [default for isotropic scans: 2]")
    ] = None,
    spacing: Annotated[str | None, typer.Option(metavar="MM[,MM,MM]", help="New spacing, in the file's order.")] = None,
    planes: Annotated[str, typer.Option(help="auto, all, or of axial,coronal,sagittal.")] = "auto",
    fuse: Annotated[
        str, typer.Option(help="mean, median, weighted, learned, or the file of a fusion network.")
    ] = "mean",
    no_consistency: Annotated[
        bool, typer.Option("--no-consistency", help="Leave the result as the network made it.")
    ] = False,
    profile: Annotated[str, typer.Option(help="Slice profile of the scan: box or gaussian.")] = "box",
    thickness: Annotated[
        float | None, typer.Option(metavar="MM", help="Slice thickness; the header's, else the spacing, without it.")
    ] = None,
    noise: Annotated[
        float | None, typer.Option(metavar="SD", help="Noise of the scan, in its own units. [default: measured]")
    ] = None,
    uncertainty: Annotated[
        bool, typer.Option("--uncertainty", help="Also write the spread over planes and flips.")
    ] = False,
    adapt: Annotated[
        float | None,
        typer.Option(metavar="[MINUTES]", help=f"First learn from the scan itself. [alone: {MINUTES} minutes]"),
    ] = None,
    kind: Annotated[str, typer.Option(help="auto, image or labels (nearest neighbour).")] = "auto",
    affine: Annotated[
        str | None, typer.Option(metavar="sform|qform", help="Which is right where those of a NIfTI header disagree.")
    ] = None,
    input_spacing: Annotated[
        str | None, typer.Option(metavar="MM,MM,MM", help="Spacing of scans whose header states none, in its order.")
    ] = None,
    also: Annotated[
        list[str] | None, typer.Option(metavar="FILE", help="Bring this image or mask onto the new grid too.")
    ] = None,
    series: Annotated[
        list[str] | None,
        typer.Option(
            metavar="N|TEXT|UID", help="Which DICOM series: number or part of the description, as `medsr info` lists."
        ),
    ] = None,
    dicom: Annotated[bool, typer.Option("--dicom", help="Write a derived DICOM series; DICOM scans only.")] = False,
    report: Annotated[
        bool, typer.Option("--report", help="Also write an HTML page with a before/after slider.")
    ] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, mps, or gpu (Intel's, by OpenVINO).")] = "auto",
    engine: Annotated[str, typer.Option(help=ENGINE)] = "auto",
    precision: Annotated[str, typer.Option(help=PRECISION)] = "auto",
    max_gpu_memory: Annotated[float | None, typer.Option(metavar="GB", help=MAX_GPU_MEMORY)] = None,
    compiled: Annotated[bool, typer.Option("--compile", help=COMPILE)] = False,
    skip_done: Annotated[
        bool, typer.Option("--skip-done", help="Leave out what status.tsv in the folder calls done.")
    ] = False,
    keep_metadata: Annotated[bool, typer.Option("--keep-metadata", help=KEEP_METADATA)] = False,
    together: Annotated[
        bool, typer.Option("--together", help="Put all scans, of one body part and contrast, into one volume.")
    ] = False,
    extent: Annotated[str, typer.Option(help="With --together, the box: first, union or intersection.")] = "first",
    like: Annotated[
        str | None, typer.Option(metavar="FILE", help="With --together: the result gets the grid of this scan.")
    ] = None,
    no_registration: Annotated[
        bool, typer.Option("--no-registration", help="With --together: nobody moved, the headers are right.")
    ] = False,
    no_matching: Annotated[
        bool, typer.Option("--no-matching", help="With --together: leave the intensities of each scan as they are.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="With --together: do it although the scans seem not to belong together.")
    ] = False,
    from_archive: FROM_ARCHIVE = None,
    study: STUDY = None,
    to_archive: TO_ARCHIVE = None,
    ca: CA = None,
) -> None:
    """Super-resolve 3D scans: finer voxels over the same box, in agreement with what was acquired."""
    from medsr.commands.volume.run import volume as run
    from medsr.core.geometry import parse_spacing

    outcomes = run(
        scans or None,
        out,
        model=model,
        isotropic=isotropic,
        scale=scale,
        spacing=None if spacing is None else parse_spacing(spacing),
        planes=planes,
        fuse=fuse,
        consistency=not no_consistency,
        profile=profile,
        thickness=thickness,
        noise=noise,
        uncertainty=uncertainty,
        adapt=adapt,
        kind=kind,
        affine=affine,
        input_spacing=None if input_spacing is None else parse_spacing(input_spacing, "input_spacing"),
        also=also or (),
        series=series,
        dicom=dicom,
        report=report,
        device=device,
        engine=engine,
        precision=precision,
        max_gpu_memory=max_gpu_memory,
        compiled=compiled,
        skip_done=skip_done,
        keep_metadata=keep_metadata,
        together=together,
        extent=extent,
        like=like,
        registration=not no_registration,
        matching=not no_matching,
        force=force,
        from_archive=from_archive,
        study=study,
        to_archive=to_archive,
        ca=ca,
        on_outcome=_tell,
        notify=lambda line: echo(line, err=True),
    )
    end(outcomes)


def _tell(outcome: Outcome) -> None:
    if outcome.skipped:
        echo(f"{outcome.output}  done before")
    elif not report_failure(outcome):
        echo(f"{outcome.output}  {outcome.seconds:.1f} s")
        for note in outcome.notes:
            echo(f"  {note}")
