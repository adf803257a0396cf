"""What the user should know before trusting a result."""

from __future__ import annotations

from medsr.core.geometry import Shape
from medsr.io.volumes.periodic import is_phase, is_signed
from medsr.io.volumes.units import is_ct, lowest
from medsr.io.volumes.volume import Volume
from medsr.networks.weight_store import VOLUME_BASELINES
from medsr.volumes.acquisition import Acquisition
from medsr.volumes.learned_fusion import trained_on
from medsr.volumes.models import LoadedSliceModel
from medsr.volumes.slice_models import SliceUpscaler

SLACK = 1.3
"""How far beyond the range of training a spacing or factor may lie unremarked."""


def domain_warnings(engine: LoadedSliceModel, volume: Volume, fine: Shape, acquisition: Acquisition) -> list[str]:
    """One line for each way in which the scan is not what the model was trained for.

    `fine`: what it is refined to, in the order of its own axes (the acquisition's are in canonical order).
    """
    if engine.name in (*VOLUME_BASELINES, "scratch"):
        return []
    if isinstance(engine.model, SliceUpscaler) and not engine.domain:
        return [f"{engine.name} was made for images, not for slices of scans: look at the result with doubt"]
    warnings = []
    spacing = volume.grid.on(fine).spacing
    factors = [acquisition.factor(axis) for axis in acquisition.refined]
    trained_on = f"{engine.name} was trained on {engine.domain.get('modality') or 'other scans'}"
    if (limits := engine.domain.get("spacing")) and not _within(spacing, limits):
        warnings.append(
            f"{trained_on} at {_span(limits)} mm; the refined scan has {' x '.join(f'{s:.3g}' for s in spacing)} mm"
        )
    if (limits := engine.domain.get("factors")) and max(factors) > limits[1] * SLACK**0.5:
        warnings.append(f"{engine.name} was trained for factors {_span(limits)}; this is {max(factors):.3g}")
    modality = str(engine.domain.get("modality", ""))
    if "MRI" in modality:
        if volume.modality not in ("", "MR"):
            warnings.append(f"{trained_on}; this is {volume.modality}")
        elif is_ct(volume):
            warnings.append(f"{trained_on}; values down to {lowest(volume):.0f} look like CT")
    return warnings


def content_warnings(engine: LoadedSliceModel, volume: Volume) -> list[str]:
    """Lines about phases, whose values wrap, and about parts of the body that no bundled model was trained on."""
    warnings = []
    phase = is_phase(volume)
    if engine.domain and not phase and is_signed(volume):
        warnings.append(
            f"{engine.name} was trained on magnitudes; by its header, name or values, this is a real or imaginary part "
            "or a field map"
        )
    if phase:
        warnings.append(
            "a phase image, by its header, name or values: where the phase wraps, what lies between two voxels is wrong"
        )
    if volume.elsewhere and volume.modality in ("MR", "") and "MRI" in str(engine.domain.get("modality", "")):
        warnings.append(
            f"{engine.name} was trained on {engine.domain['modality']}; this shows another part of the body "
            f"({volume.elsewhere}, by its header): compare it with `model=cubic`"
        )
    return warnings


def fusion_warnings(engine: LoadedSliceModel, fuse: str) -> list[str]:
    """A line where a fusion network learned from what other weights than these make of planes."""
    source_hash = trained_on(fuse)
    if source_hash is None or engine.sha256 is None or source_hash == engine.sha256:
        return []
    return [f"`fuse={fuse}`: learned to fuse what other weights than {engine.name} make: look at the result with doubt"]


def _within(spacing: tuple[float, ...], limits: list[float]) -> bool:
    return min(spacing) >= limits[0] / SLACK and max(spacing) <= limits[1] * SLACK


def _span(limits: list[float]) -> str:
    return f"{limits[0]:g} to {limits[1]:g}"
