"""`medsr reproduce`: make a result again from its sidecar, and compare."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsr.batch.outcome import Outcome
from medsr.commands import sidecar_fields
from medsr.commands.sidecar_files import check_calibration, input_of, inputs_of, locate, named_input, weights_of
from medsr.commands.upscale.run import upscale
from medsr.commands.volume.run import volume
from medsr.core.errors import MedsrError, UsageError, WeightsError
from medsr.core.version import __version__
from medsr.io.files import sha256
from medsr.io.images import image as image_io
from medsr.io.images.depth import ANY
from medsr.io.images.frames import ALL
from medsr.io.volumes import volume as volume_io
from medsr.io.volumes import volume_files
from medsr.volumes.learned_fusion import file_of


@dataclass(frozen=True)
class Comparison:
    """A result made again. `same`: every value is equal; `how`: in words."""

    output: Path
    same: bool
    how: str


@dataclass(frozen=True)
class Replacements:
    """What is not taken from the sidecar: where the input and the weights are now, and what to compute on."""

    sources: Sequence[str | Path]
    model: str | Path | None
    device: str

    @property
    def source(self) -> str | Path | None:
        """Of a sidecar with one input. Raises UsageError for several."""
        if len(self.sources) > 1:
            raise UsageError(f"`input`: the sidecar is of one input, {len(self.sources)} are given")
        return self.sources[0] if self.sources else None


def reproduce(
    sidecar: str | Path,
    input: str | Path | Sequence[str | Path] | None = None,
    *,
    model: str | Path | None = None,
    device: str = "cpu",
    notify: Callable[[str], None] = lambda _: None,
) -> list[Comparison]:
    """Make again what a sidecar is about, and compare.

    Input and weights are used only if they have the hashes written down.

    Args:
        sidecar: The `.json` beside a result of `medsr.volume`, or `upscale.json` of `medsr.upscale`.
        input: The input, where it is no longer at the place the sidecar names. For images: their folder. For scans
            that were put together: all of them in a list, in the same order.
        model: The weight file, where it is no longer the one of that name.
        device: `cpu`, `auto`, `cuda`, `cuda:1`, `mps` or `gpu`, as in `medsr.volume`.
        notify: Called with each line that a user should read.

    Returns:
        For each result whether it came out the same, and if not, by how much it differs.

    Raises:
        UsageError: The result cannot be made again at all.
        InputError: The sidecar or the input is missing or changed.
        WeightsError: The weights are missing or changed.

    Examples:
        >>> import medsr
        >>> done = medsr.upscale("eye.png", "finer", model="lanczos", outscale=2)
        >>> [comparison] = medsr.reproduce("finer/upscale.json")
        >>> comparison.same
        True
    """
    path = Path(sidecar)
    summary = sidecar_fields.read(path)
    sources = [input] if isinstance(input, str | os.PathLike) else list(input or ())
    replacements = Replacements(sources, model, device)
    if summary["version"] != __version__:
        notify(f"note: made by medsr {summary['version']}, this is {__version__}")
    if summary.get("command") == "upscale":
        return [_image(path, name, entry, replacements) for name, entry in summary["results"].items()]
    if "input_files" in summary:
        return [_joined(path, summary, replacements)]
    return [_scan(path, summary, replacements)]


def _image(sidecar: Path, name: str, entry: dict[str, Any], replacements: Replacements) -> Comparison:
    output = sidecar.parent / name
    source = replacements.source
    if source is not None and Path(source).is_dir():
        source = Path(source) / Path(entry["input"]).name
    scan = input_of(sidecar, entry, source, sha256)
    parameters = entry["parameters"]
    weights = weights_of(sidecar, entry["model"], replacements.model)
    check_calibration(weights, parameters)
    consistency = parameters.get("consistency", False)  # older sidecars do not say: there was none
    with tempfile.TemporaryDirectory() as folder:
        [outcome] = upscale(
            [scan],
            folder,
            model=weights,
            outscale=parameters["outscale"],
            device=replacements.device,
            bits=parameters["bits"],
            tile=parameters.get("tile"),
            engine=parameters.get("engine", "auto"),
            precision=parameters.get("precision", "fp32"),
            compiled=parameters.get("compiled", False),
            consistency=consistency,
            strength=parameters.get("strength", 1.0 if consistency else None),  # older sidecars: it was all
            assumed_bits={ANY: parameters["assumed_bits"]} if "assumed_bits" in parameters else None,
            frames=parameters.get("frames"),
            keep_metadata=parameters.get("keep_metadata", True),  # older sidecars do not say: it was kept
        )
        repeated = _output_of(outcome)
        before, after = _pixels(output), _pixels(repeated)
        return _compare(output, before, after, output.read_bytes() == repeated.read_bytes())


def _pixels(path: Path) -> NDArray[Any]:
    """Of a picture, or of all its frames, one below the other."""
    content = image_io.read_frames(path, ALL)
    return (
        content.pixels if isinstance(content, image_io.Image) else np.concatenate([frame.pixels for frame in content])
    )


def _scan(sidecar: Path, summary: dict[str, Any], replacements: Replacements) -> Comparison:
    parameters = summary["parameters"]
    if parameters["adapt_minutes"] is not None:
        raise UsageError(f"{sidecar}: learned from the scan for a time (`adapt`): that cannot be made again exactly")
    scan = input_of(sidecar, summary, replacements.source, volume_files.digest)
    planes = parameters["planes"] if isinstance(parameters["planes"], str) else ",".join(parameters["planes"])
    entry_arguments = {
        "isotropic": parameters["isotropic"],
        "scale": parameters["scale"],
        "planes": planes,
        "thickness": sidecar_fields.thickness(summary, scan),
        "noise": parameters.get("noise"),
        "input_spacing": parameters.get("input_spacing_mm"),  # older sidecars do not say
        "series": summary.get("series"),
        "dicom": (sidecar.parent / summary["output_file"]).is_dir(),
    }
    return _volume_again(sidecar, summary, replacements, [scan], entry_arguments)


def _joined(sidecar: Path, summary: dict[str, Any], replacements: Replacements) -> Comparison:
    """Of scans that were put together."""
    parameters, entries = summary["parameters"], summary["input_files"]
    scans = inputs_of(sidecar, entries, replacements.sources, volume_files.digest)
    like = summary.get("like")
    entry_arguments = {
        "thickness": parameters["thickness_mm"],
        "together": True,
        "extent": parameters["extent"],
        "registration": parameters["registration"],
        "matching": parameters["matching"],
        "force": parameters["force"],
        "like": like and input_of(sidecar, named_input(like), None, volume_files.digest),
    }
    if any(entry["series"] for entry in entries):
        entry_arguments["series"] = [entry["series"] for entry in entries]
        scans = scans[:1]
    return _volume_again(sidecar, summary, replacements, scans, entry_arguments)


def _volume_again(
    sidecar: Path,
    summary: dict[str, Any],
    replacements: Replacements,
    scans: list[Path],
    entry_arguments: dict[str, Any],
) -> Comparison:
    """Refine `scans` as the sidecar says, with the arguments of one scan or of several, and compare."""
    parameters, output = summary["parameters"], sidecar.parent / summary["output_file"]
    nearest = summary["model"]["name"] == "nearest"  # a label map: no network was asked
    weights = "cubic" if nearest else weights_of(sidecar, summary["model"], replacements.model)
    check_calibration(weights, parameters)
    fusion = parameters.get("fusion_sha256")
    fuse = locate(parameters["fuse"], sidecar, fusion)
    if fusion is not None and sha256(file_of(fuse)) != fusion:
        raise WeightsError(
            f"`fuse={parameters['fuse']}`: not the fusion network the result was made with (another SHA-256)"
        )
    with tempfile.TemporaryDirectory() as folder:
        [outcome] = volume(
            scans,
            Path(folder, output.name),
            model=weights,
            spacing=parameters["spacing_mm"],
            fuse=fuse,
            consistency=parameters["consistency"],
            profile=parameters["profile"],
            kind=parameters["kind"],
            affine=parameters.get("affine"),  # older sidecars do not say
            device=replacements.device,
            engine=parameters.get("engine", "auto"),
            precision=parameters.get("precision", "fp32"),
            compiled=parameters.get("compiled", False),
            keep_metadata=parameters.get("keep_metadata", True),
            **entry_arguments,
        )
        repeated = _output_of(outcome)
        before, after = volume_io.read(output), volume_io.read(repeated)
        same_affine = np.array_equal(before.affine, after.affine)
        comparison = _compare(
            output, before.stored, after.stored, volume_files.digest(output) == volume_files.digest(repeated)
        )
        return comparison if same_affine else Comparison(output, False, "lies elsewhere: another affine")


def _output_of(outcome: Outcome) -> Path:
    if outcome.error is not None:
        error: MedsrError = outcome.error
        raise error
    return outcome.output


def _compare(output: Path, before: Any, after: Any, same_bytes: bool) -> Comparison:
    if same_bytes:
        return Comparison(output, True, "the same bytes")
    if before.shape != after.shape or before.dtype != after.dtype:
        return Comparison(output, False, f"{after.shape} {after.dtype} instead of {before.shape} {before.dtype}")
    different = int(np.count_nonzero(before != after))
    if not different:
        return Comparison(output, True, "the same values (the files differ in their wrapping)")
    largest = float(np.abs(before.astype(np.float64) - after.astype(np.float64)).max())
    return Comparison(output, False, f"{different} of {before.size} values differ, by at most {largest:g}")
