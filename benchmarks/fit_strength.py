"""How much of a bundled image model's change an input gets, by how sharp it is: fitted, and measured on other images.

    python benchmarks/fit_strength.py MODEL --train FOLDER [ZOOMS] [--train ...] --test FOLDER [ZOOMS] [--test ...]

FOLDER: images whose truth is known; ZOOMS, as in 1,0.75,0.6, by which they are made smaller first, as another camera
would see them. Of --train it takes crops, draws blur, noise and JPEG for each, and writes what gains the most into the
manifest. Of --test, images that neither the model nor this has learned from, it prints a table: the gain over bicubic
interpolation of all of the change, and with the share that was fitted.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from quantise_bundled import note

from medsr.engines.base import Compute
from medsr.images.network import Network
from medsr.images.strength import Strength
from medsr.io.kinds import list_images
from medsr.training.learn_strength import Crops
from medsr.training.strength import StrengthSample, fit, gain
from medsr.volumes.models import open_model

BLURS = ((0, 0), (0.001, 0.6), (0.6, 0.95), (0.95, 1.05), (1.05, 1.5))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--train", action="append", nargs="+", required=True, metavar=("FOLDER", "ZOOMS"))
    parser.add_argument("--test", action="append", nargs="+", required=True, metavar=("FOLDER", "ZOOMS"))
    parser.add_argument("--crops", type=int, default=160, help="Of each folder to train on; a fifth of that to test.")
    arguments = parser.parse_args()
    network = open_model(arguments.model, Compute("cpu"))
    assert isinstance(network, Network)
    rng = np.random.default_rng(0)
    samples = [sample for folder in arguments.train for sample in samples_of(network, folder, arguments.crops, rng)]
    strength = fit(samples)
    parts = (f"{name}: [{', '.join(map(str, values))}]" for name, values in strength.as_dict().items())
    note(arguments.model, "strength", f"{{{', '.join(parts)}}}")
    print("| | blur | crops | share | all of the change: gain, worst | that share: gain, worst | the best share |")
    print("|---|---|---|---|---|---|---|")
    for folder in arguments.test:
        print_rows(Path(folder[0]).name, samples_of(network, folder, arguments.crops // 5, rng), strength)


def samples_of(network: Network, folder: list[str], count: int, rng: np.random.Generator) -> list[StrengthSample]:
    """`count` crops of the images in turn."""
    zooms = [float(zoom) for zoom in folder[1].split(",")] if len(folder) > 1 else [1.0]
    return Crops(network, zooms).samples(list_images(Path(folder[0])), count, rng)


def print_rows(name: str, samples: list[StrengthSample], strength: Strength) -> None:
    """Of the table: one row for each range of blur, and one for noise and JPEG."""
    plain = [sample for sample in samples if not sample.artefacts]
    kinds = [
        (f"{low:g}" if low == high else f"{low:.2g} to {high:g}", [s for s in plain if low <= s.blur <= high])
        for low, high in BLURS
    ]
    for kind, group in [*kinds, ("any, noise or JPEG", [s for s in samples if s.artefacts])]:
        if not group:
            continue
        share = strength.share([s.fine for s in group], [s.finest for s in group])
        best = np.clip([s.agreement / s.change for s in group], 0, 1)
        whole, part, most = (gain(group, chosen) for chosen in (1.0, share, best))
        print(
            f"| {name} | {kind} | {len(group)} | {share.mean():.2f} | {whole.mean():+.2f}, {whole.min():+.2f} | "
            f"{part.mean():+.2f}, {part.min():+.2f} | {most.mean():+.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
