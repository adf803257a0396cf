"""Enlarge an image twice: python examples/upscale_image.py [IMAGE] [FOLDER]

Without an image, it takes a part of the fundus photograph that comes with scikit-image (public domain).
"""

from __future__ import annotations

import sys
from pathlib import Path

import medsr


def example_image(folder: Path) -> Path:
    """A part of a fundus photograph, 96 x 96 pixels."""
    import skimage.data
    from PIL import Image

    photograph = Image.fromarray(skimage.data.retina()).resize((353, 353), Image.Resampling.LANCZOS)
    path = folder / "fundus.png"
    photograph.crop((20, 130, 116, 226)).save(path)
    return path


def main(image: str | None = None, folder: str = "example-image") -> None:
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    source = Path(image) if image else example_image(out)
    for outcome in medsr.upscale(source, out / "finer", model="medsr-retina-x2"):
        if outcome.error:
            raise outcome.error
        print(f"{outcome.output} in {outcome.seconds:.1f} s")


if __name__ == "__main__":
    main(*sys.argv[1:])
