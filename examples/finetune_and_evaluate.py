"""Fine-tune the compact model and measure it: python examples/finetune_and_evaluate.py [FOLDER] [ITERATIONS]

It takes four parts of scikit-image's fundus photograph (public domain): three to train on, one to measure. Ten
iterations only show the way. A real run takes thousands: docs/fine-tuning.md has one.
"""

from __future__ import annotations

import sys
from pathlib import Path

import skimage.data
from PIL import Image

import medsr


def example_photographs(folder: Path) -> tuple[Path, Path]:
    """Folders of photographs to train on and to measure on."""
    photograph = Image.fromarray(skimage.data.retina()).resize((470, 470), Image.Resampling.LANCZOS)
    corners = {"train/a": (60, 60), "train/b": (230, 60), "train/c": (60, 230), "test/d": (230, 230)}
    for name, (left, top) in corners.items():
        path = folder / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        photograph.crop((left, top, left + 160, top + 160)).save(path)
    return folder / "train", folder / "test"


def main(folder: str = "example-run", iterations: str = "10") -> None:
    out = Path(folder)
    train, test = example_photographs(out)
    small = ["batch=2", "data.crop=48", "data.degrade_crop=64", "data.workers=0", "data.multiscale=null"]
    run = medsr.finetune("demo_retina", data=train, out=out / "run", overrides=[*small, f"iterations={iterations}"])
    measured = medsr.evaluate("folder", test, models=["medsr-retina-x2", run.model], out=out / "measured", scale=2)
    for name, metrics in measured.means.items():
        print(f"{name:<20} {metrics['psnr'].mean:.2f} dB")
    print(out / "measured" / "report.html")


if __name__ == "__main__":
    main(*sys.argv[1:])
