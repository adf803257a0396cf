"""Refine a scan with thick slices: python examples/refine_volume.py [SCAN] [FOLDER]

Without a scan, it makes a small synthetic one: two ellipsoids, in slices of 4 mm.
"""

from __future__ import annotations

import sys
from pathlib import Path

import nibabel
import numpy as np

import medsr


def example_scan(folder: Path) -> Path:
    """A synthetic scan of 32 x 32 x 10 voxels of 1 x 1 x 4 mm."""
    x, y, z = np.meshgrid(np.arange(32) - 15.5, np.arange(32) - 15.5, (np.arange(10) - 4.5) * 4, indexing="ij")
    outer = (x / 13) ** 2 + (y / 13) ** 2 + (z / 17) ** 2 < 1
    inner = ((x - 3) / 6) ** 2 + (y / 5) ** 2 + (z / 8) ** 2 < 1
    path = folder / "thick.nii.gz"
    values = (600 * outer + 300 * inner).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(values, np.diag([1.0, 1.0, 4.0, 1.0])), path)
    return path


def main(scan: str | None = None, folder: str = "example-scan") -> None:
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    image = nibabel.load(scan or example_scan(out))
    result = medsr.volume(image, model="medsr-mri")
    nibabel.save(result.image, out / "finer.nii.gz")
    print(f"{image.shape} at {image.header.get_zooms()[:3]} mm")
    print(f"{result.image.shape} at {result.image.header.get_zooms()[:3]} mm: {out / 'finer.nii.gz'}")


if __name__ == "__main__":
    main(*sys.argv[1:])
