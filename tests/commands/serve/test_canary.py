"""Text planted in files, names and models is in no answer of a real server, and in nothing it prints."""

from __future__ import annotations

import json
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from PIL import Image, PngImagePlugin, TiffImagePlugin
from pydicom.uid import ExplicitVRLittleEndian

from medsr.commands.serve.available_models import available_models
from medsr.core.errors import WeightsError
from medsr.networks import checkpoint
from tests.helpers.dicom import slice_of, write_xray
from tests.helpers.patients import DECISIVE, EVERY, SECRET, marked, with_secret
from tests.helpers.server import User, serving

ESCAPE = "\x1b[31m"
MORE = (
    "WindowCenter",
    "WindowWidth",
    "VOILUTFunction",
    "PresentationLUTShape",
    "SliceThickness",
    "KVP",
    "ProtocolName",
    "HighBit",
    "ImageOrientationPatient",
    "StudyInstanceUID",
    "GridFrameOffsetVector",
    "TemporalPositionIdentifier",
)
KEYWORDS = tuple(dict.fromkeys((*DECISIVE, *MORE)))
DAILY = KEYWORDS[::7]
"""Of the tags, those that are tried one by one in every run; the slow run tries all."""


@dataclass
class Watched:
    """A user of the server of this module. `told`: every answer so far."""

    user: User
    told: list[str]

    def send(self, path: Path, name: str, **query: Any) -> dict[str, Any] | None:
        answer = self.user.upload(path, name, **query)
        assert answer.status_code in (201, 422), (path, answer.text)
        self.told.append(answer.text)
        return answer.json() if answer.status_code == 201 else None

    def order(self, file: dict[str, Any], model: str | None = None) -> dict[str, Any]:
        """A job on an upload: its page states, answer and sidecar are told, too. Then all of it is forgotten."""
        http = self.user.http
        if file["facts"]["kind"] == "image":
            job = self.user.order("image", file=file["id"], models=[model or "bicubic"])
        else:
            job = self.user.order("volume", file=file["id"], model=model or "cubic", scale=2)
        job = self.user.wait(job)
        self.told += [http.get(place).text for place in ("/api/files", "/api/jobs", f"/api/jobs/{job['id']}")]
        if job["volume"]:
            self.told.append(http.get(job["volume"]["sidecar"]).text)
            self.told.append(str(http.get(job["volume"]["download"]).headers))
        http.delete(f"/api/files/{file['id']}")
        return job

    def check(self) -> None:
        """Nothing of what was planted, and nothing that moves a terminal, is in an answer."""
        for text in self.told:
            assert SECRET not in text
            for string in strings(json.loads(text) if text[:1] in "[{" else text):
                assert all(letter.isprintable() or letter == "\n" for letter in string), repr(string)
        self.told.clear()


def strings(value: Any) -> Iterator[str]:
    """Every text in an answer, the names of its values too."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)
    elif isinstance(value, str):
        yield value


def models(folder: Path, refiner: Path) -> list[Path]:
    """Weight files in a folder of that name whose cards say it: one that opens, and two that do not."""
    import torch

    folder.mkdir()
    net, spec = checkpoint.load(refiner)
    domain = {"modality": f"{SECRET}{ESCAPE} MRI", "spacing": [0.1, 0.2], "factors": [1, 1.1], "title": SECRET}
    checkpoint.save(folder / "good.safetensors", net.state_dict(), spec, {"domain": domain, "name": SECRET})
    tensors = {f"{SECRET}.weight": torch.zeros(1)}
    other = checkpoint.Spec("rrdb", 2, 3, {SECRET: 1})
    checkpoint.save(folder / "other.safetensors", tensors, other, {"name": SECRET})
    torch.save({"params": tensors, SECRET: SECRET}, folder / "foreign.pth")
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def watched(refiner_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """A user of a server whose output is looked at when all is done."""
    place = tmp_path_factory.mktemp("canary")
    offered = [f"--model={path}" for path in models(place / f"{SECRET}, of a person", refiner_file)]
    with serving(place / "store", "--engine", "torch", *offered, MEDSR_HOME=str(place / "home")) as server:
        watched = Watched(server.user(), [])
        yield watched
        server.stop()
        assert server.process.stdout is not None
        printed = server.process.stdout.read()
    assert SECRET not in printed
    assert "\x1b" not in printed
    assert "ERROR" not in printed, printed


def zipped(path: Path, files: list[Path], name: str = f"{SECRET}{ESCAPE}") -> Path:
    """A zip of files whose names hold the secret."""
    with zipfile.ZipFile(path, "w") as archive:
        for number, file in enumerate(files):
            archive.write(file, f"{SECRET}/{name}{number}{file.suffix}")
    return path


def series(folder: Path, count: int = 3) -> list[Path]:
    """A short series."""
    folder.mkdir()
    for number in range(count):
        slice_of(number).save_as(folder / f"{number}.dcm", enforce_file_format=True)
    return sorted(folder.iterdir())


PIXELS = np.random.default_rng(0).integers(0, 4096, (20, 24)).astype(np.uint16)


@pytest.mark.parametrize(
    "keyword", [pytest.param(one, marks=[] if one in DAILY else pytest.mark.slow) for one in KEYWORDS]
)
def test_a_tag_that_is_not_understood(watched: Watched, tmp_path: Path, keyword: str) -> None:
    """Alone in an image, and in one slice of a zip, which may end in an error or in a job."""
    for vr in ("its own", "LO"):
        slices = series(tmp_path / f"s{vr}")
        with_secret(slices[1], keyword, vr)
        image = write_xray(tmp_path / f"{vr}.dcm", PIXELS)
        with_secret(image, keyword, vr)
        for path, name in ((image, "image.dcm"), (zipped(tmp_path / f"{vr}.zip", slices), "scan.zip")):
            file = watched.send(path, name)
            if file is not None:
                watched.order(file)
    watched.check()


def test_the_series_of_a_zip_are_listed_without_what_somebody_typed(watched: Watched, tmp_path: Path) -> None:
    slices = []
    for number in (1, 2):
        for k in range(3):
            text = {"SeriesDescription": f"T{number} {SECRET}", "ProtocolName": SECRET, "SeriesNumber": number}
            (tmp_path / str(number)).mkdir(exist_ok=True)
            slices.append(tmp_path / str(number) / f"{k}.dcm")
            slice_of(k, SeriesInstanceUID=f"1.2.{number}", **text).save_as(slices[-1], enforce_file_format=True)
    bundle = zipped(tmp_path / "study.zip", slices)
    assert watched.send(bundle, "study.zip") is None
    assert [choice.split(", ")[0] for choice in json.loads(watched.told[-1])["choices"]] == ["CT", "CT"]
    file = watched.send(bundle, "study.zip", series=2)
    assert file is not None
    assert watched.order(file)["state"] == "done"
    watched.check()


@pytest.mark.slow
def test_every_tag_at_once_with_a_network(watched: Watched, tmp_path: Path) -> None:
    slices = [marked(path, ExplicitVRLittleEndian) for path in series(tmp_path / "series", 5)]
    file = watched.send(zipped(tmp_path / "a.zip", slices), "scan.zip")
    assert file is not None
    job = watched.order(file, "good")
    assert job["state"] == "done", job
    assert any("was trained on" in note for note in job["volume"]["notes"])
    image = watched.send(marked(write_xray(tmp_path / "a.dcm", PIXELS), ExplicitVRLittleEndian), "image.dcm")
    assert image is not None
    assert watched.order(image)["state"] == "done"
    assert len(EVERY) > 50
    watched.check()


@pytest.mark.slow
@pytest.mark.parametrize("model", ["other", "foreign"])
def test_a_model_that_cannot_be_opened(watched: Watched, tmp_path: Path, model: str) -> None:
    """Neither its card nor its folder is told; the user can do nothing about it but take another."""
    Image.fromarray((PIXELS >> 4).astype(np.uint8)).save(tmp_path / "a.png")
    file = watched.send(tmp_path / "a.png", "a.png")
    assert file is not None
    job = watched.order(file, model)
    assert job["state"] == "failed"
    assert job["error"].startswith(f"{model}: ")
    assert "person" not in job["error"]
    watched.told += [watched.user.http.get(place).text for place in ("/api/models", "/api/about", "/api/openapi.json")]
    watched.check()


@pytest.mark.parametrize(
    "spec",
    [
        {"architecture": "new", "scale": 2, "channels": 3, "hyperparameters": {}},
        {"architecture": "rrdb", "scale": "two", "channels": 3, "hyperparameters": {}},
        {"architecture": "rrdb", "scale": 2, "channels": 3, "hyperparameters": [1]},
        {"name": "rrdb"},
        ["rrdb"],
    ],
)
def test_a_model_whose_card_makes_no_sense_is_refused_before_anything_is_served(tmp_path: Path, spec: Any) -> None:
    import torch

    path = tmp_path / "own.safetensors"
    checkpoint._write(path, {"weight": torch.zeros(1)}, {"format": checkpoint.FORMAT, "spec": json.dumps(spec)})
    with pytest.raises(WeightsError, match=r"own\.safetensors: (its metadata is damaged|made for an architecture)"):
        available_models((str(path),))


@pytest.mark.slow
def test_names_in_a_zip(watched: Watched, tmp_path: Path) -> None:
    """Whatever is wrong with what a zip holds: its files are called by their number."""
    slices = series(tmp_path / "series", 5)
    missing = [slices[number] for number in (0, 1, 3, 4)]
    other = write_xray(tmp_path / "colour.dcm", np.zeros((6, 8), np.uint8), "RGB")
    cut = tmp_path / "cut.dcm"
    cut.write_bytes(slices[2].read_bytes()[:-40])
    text = tmp_path / "notes.txt"
    text.write_text(SECRET)
    nifti = tmp_path / "a.nii"
    nib.Nifti1Image(np.arange(512, dtype=np.int16).reshape(8, 8, 8), np.eye(4)).to_filename(nifti)
    inner = zipped(tmp_path / "inner.zip", slices)
    broken = tmp_path / "broken.nii"
    broken.write_bytes(nifti.read_bytes()[:500])
    kinds = {
        "missing": missing,
        "twice": [*slices, slices[2]],
        "colour": [other],
        "cut": [*slices[:2], cut, *slices[3:]],
        "others": [*slices, text],
        "text": [text],
        "two volumes": [nifti, nifti],
        "volume": [nifti],
        "broken": [broken],
        "both": [nifti, *slices],
        "zip in zip": [inner],
    }
    read = set()
    for kind, files in kinds.items():
        file = watched.send(zipped(tmp_path / f"{kind}.zip", files), "scan.zip")
        if file is not None:
            read.add(kind)
            assert watched.order(file)["state"] == "done"
        elif kind == "colour":
            assert "file_1.dcm" in watched.told[-1]
    assert {"others", "volume"} <= read
    assert "colour" not in read
    watched.check()


NRRD = (
    f"NRRD0004\n# {SECRET}\ntype: short\ndimension: 3\nsizes: 4 4 4\nencoding: raw\nendian: little\nspacings: 1 1 2\n"
)
SIZES = "ElementSpacing = 1 1 2\nDimSize = 4 4 4\n"
META = f"ObjectType = Image\nNDims = 3\n{SIZES}ElementType = MET_SHORT\nComment = {SECRET}\n"


def headers(folder: Path) -> Iterator[Path]:
    """Scans and images that say the secret in their headers, where it does no harm and where it is wrong."""
    folder.mkdir()
    voxels = np.arange(64, dtype=np.int16).tobytes()
    wrong = {key: NRRD.replace(f"{key}: ", f"{key}: {SECRET} ") for key in ("type", "sizes", "encoding", "endian")}
    for key, text in {"fine": f"{NRRD}{SECRET}:={SECRET}\n", "space": f"{NRRD}space: {SECRET}\n", **wrong}.items():
        path = folder / f"{key}.nrrd"
        path.write_bytes(f"{text}\n".encode() + voxels)
        yield path
    wrong = {key: META.replace(f"{key} = ", f"{key} = {SECRET} ") for key in ("NDims", "DimSize", "ElementType")}
    for key, text in {"fine": META, "matrix": f"{META}TransformMatrix = {SECRET}\n", **wrong}.items():
        path = folder / f"{key}.mha"
        path.write_bytes(f"{text}ElementDataFile = LOCAL\n".encode() + voxels)
        yield path
    header = nib.Nifti1Header()
    header["descrip"], header["aux_file"], header["intent_name"] = SECRET, SECRET, SECRET
    header.extensions.append(nib.nifti1.Nifti1Extension("comment", SECRET.encode()))
    scan = nib.Nifti1Image(np.arange(64, dtype=np.int16).reshape(4, 4, 4), np.eye(4), header)
    scan.to_filename(folder / "fine.nii")
    yield folder / "fine.nii"
    for name, place in (("magic", 344), ("dim", 42), ("datatype", 70), ("pixdim", 80), ("vox_offset", 108)):
        content = bytearray((folder / "fine.nii").read_bytes())
        content[place : place + 4] = SECRET.encode()[:4]
        (folder / f"{name}.nii").write_bytes(content)
        yield folder / f"{name}.nii"
    picture = Image.fromarray((PIXELS >> 4).astype(np.uint8))
    said, tags = PngImagePlugin.PngInfo(), TiffImagePlugin.ImageFileDirectory_v2()
    said.add_text(SECRET, SECRET)
    tags[270] = tags[315] = SECRET
    picture.save(folder / "fine.png", pnginfo=said)
    picture.save(folder / "fine.tif", tiffinfo=tags)
    picture.save(folder / "fine.jpg", comment=SECRET.encode())
    content = (folder / "fine.png").read_bytes()
    (folder / "chunk.png").write_bytes(content[:33] + struct.pack(">I", 8) + SECRET.encode() + content[33:])
    for name in ("fine.tif", "fine.jpg", "fine.png"):
        yield folder / name
        short = folder / f"cut-{name}"
        short.write_bytes((folder / name).read_bytes()[:-60])
        yield short
    yield folder / "chunk.png"


@pytest.mark.slow
def test_headers_of_other_formats(watched: Watched, tmp_path: Path) -> None:
    done = set()
    for path in headers(tmp_path / "headers"):
        file = watched.send(path, path.name)
        if file is not None and watched.order(file)["state"] == "done":
            done.add(path.name)
        watched.check()
    assert {"fine.nrrd", "fine.mha", "fine.nii", "fine.png", "fine.tif", "fine.jpg"} <= done
    assert len(done) < 20


def test_a_users_name_of_a_file_comes_back_to_that_user_alone(watched: Watched, tmp_path: Path) -> None:
    Image.fromarray((PIXELS >> 4).astype(np.uint8)).save(tmp_path / "a.png")
    file = watched.send(tmp_path / "a.png", f"{SECRET}{ESCAPE}\u202e\r\n.png")
    assert file is not None
    assert file["name"] == f"{SECRET}[31m.png"
    watched.order(file)
    assert SECRET in watched.told[-1]
    watched.told.clear()
    stranger = User(type(watched.user.http)(base_url=watched.user.http.base_url, timeout=60))
    for place in ("/api/files", "/api/jobs", "/api/models", f"/api/files/{file['id']}/pixels"):
        watched.told.append(stranger.http.get(place).text)
    watched.check()
