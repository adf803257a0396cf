"""Small volumes and their files."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np

QFORM = nib.affines.from_matvec(np.diag([-0.5, 0.5, 5.0]), [12, -11, -30])
ONE_MM = nib.affines.from_matvec(np.diag([-1.0, 1.0, 1.0]), [12, -11, -30])
NRRD = "type: int16\nendian: little\nencoding: raw\n"
NRRD_3D = f"{NRRD}dimension: 3\nsizes: 6 5 4\n"


def smooth_volume(shape: tuple[int, ...] = (20, 18, 9), seed: int = 0) -> np.ndarray:
    """Float32 blobs of about 0 to 1000 with a border of exact zeros."""
    from scipy.ndimage import gaussian_filter

    volume = gaussian_filter(np.random.default_rng(seed).random(shape), 1.0)
    volume = (volume - volume.min()) / (volume.max() - volume.min()) * 1000
    volume[:4] = 0
    return volume.astype(np.float32)


def ramp(shape: tuple[int, ...] = (6, 5, 4)) -> np.ndarray:
    return np.arange(np.prod(shape)).reshape(shape).astype("<i2")


def write_nrrd(path: Path, header: str, array: np.ndarray | bytes) -> Path:
    data = array if isinstance(array, bytes) else array.tobytes(order="F")
    path.write_bytes(f"NRRD0005\n{header}\n".encode() + data)
    return path
