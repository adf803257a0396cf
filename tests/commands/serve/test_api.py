"""The API of a real server: what a script does with it, and what it refuses."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import signal
import socket
import stat
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import medsr
from medsr.io.images import image as image_io
from medsr.io.volumes.dicom.series_list import list_series
from tests.helpers.dicom import slice_of, write_slices
from tests.helpers.images import write_png
from tests.helpers.server import Server, User, gone, serving


@pytest.mark.slow
def test_an_image_comes_back_as_the_command_line_writes_it(
    user: User, eye: Path, eye_model: Path, tmp_path: Path
) -> None:
    file = user.file(eye)
    facts = file["facts"]
    assert (facts["kind"], facts["format"], facts["width"], facts["height"]) == ("image", "PNG", 96, 80)
    shown = user.http.get(file["pixels"]["url"]).content
    assert shown == image_io.read(eye).pixels.tobytes()
    job = user.done("image", file=file["id"], models=["bicubic", "eye-x2"])
    for result, model in zip(job["images"], ("bicubic", eye_model), strict=True):
        [made] = medsr.upscale(eye, tmp_path / Path(model).stem, model=model, engine="torch")
        assert user.http.get(result["download"]).content == made.output.read_bytes()
        pixels = np.frombuffer(user.http.get(result["pixels"]["url"]).content, np.uint8)
        np.testing.assert_array_equal(pixels.reshape(160, 192, 3), image_io.read(made.output).pixels)
    assert job["images"][1]["file_name"] == "eye_eye-x2.png"


def test_a_scan_comes_back_as_the_command_line_writes_it(
    user: User, brain: Path, refiner_file: Path, tmp_path: Path
) -> None:
    file = user.file(brain)
    assert file["facts"]["finer"] == {"shape": [20, 28, 24], "spacing": [1.5, 1.5, 1.5]}
    job = user.done("volume", file=file["id"], model="refiner", uncertainty=True)
    [made] = medsr.volume(brain, tmp_path, model=refiner_file, uncertainty=True, engine="torch")
    result = job["volume"]
    assert user.http.get(result["download"]).content == made.output.read_bytes()
    spread = user.http.get(result["uncertainty"]).content
    assert spread == (tmp_path / "brain_uncertainty.nii.gz").read_bytes()
    shown = nib.Nifti1Image.from_bytes(user.http.get(result["nifti"]).content)
    np.testing.assert_array_equal(shown.dataobj, nib.load(made.output).dataobj)
    np.testing.assert_allclose(shown.affine, nib.load(made.output).affine, atol=1e-5)
    sidecar = user.http.get(result["sidecar"]).json()
    assert sidecar["input_file"] == "brain.nii.gz"
    assert result["file_name"] == "brain_refiner.nii.gz"


def test_a_ground_truth_measures_the_file_that_is_downloaded(
    user: User, eye: Path, fundus: np.ndarray, tmp_path: Path
) -> None:
    from medsr.metrics.psnr_ssim import psnr, ssim

    truth = write_png(tmp_path / "truth.png", fundus[:160, :192])
    job = user.done("image", file=user.file(eye)["id"], models=["bicubic"], ground_truth=user.file(truth)["id"])
    [result] = job["images"]
    (tmp_path / "result.png").write_bytes(user.http.get(result["download"]).content)
    pair = image_io.read(tmp_path / "result.png").to_unit(), image_io.read(truth).to_unit()
    assert (result["psnr"], result["ssim"]) == (pytest.approx(psnr(*pair)), pytest.approx(ssim(*pair)))
    job = user.done("image", file=user.file(eye)["id"], models=["bicubic"], ground_truth=user.file(eye)["id"])
    assert job["images"][0]["psnr"] is None
    assert "96 x 80" in job["images"][0]["notes"][0]


def test_a_file_is_what_it_holds_not_what_it_is_called(user: User, eye: Path, brain: Path) -> None:
    assert user.upload(eye, "scan.nii.gz").json()["facts"]["kind"] == "image"
    assert user.upload(brain, "picture.png").json()["facts"]["kind"] == "volume"
    assert user.upload(brain, "").json()["name"] == "file"


def test_a_text_called_png_is_refused_in_words(user: User, tmp_path: Path) -> None:
    (tmp_path / "notes.png").write_text("Dear colleague, ...")
    answer = user.upload(tmp_path / "notes.png")
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("notes.png: none of what medsr reads (PNG, JPEG")
    (tmp_path / "empty.png").touch()
    assert user.upload(tmp_path / "empty.png").json()["error"] == "empty.png: the file is empty"


def test_users_see_their_own_only(server: Server, eye: Path) -> None:
    anna, berta = server.user(), server.user()
    file = anna.file(eye)
    job = anna.done("image", file=file["id"], models=["bicubic"])
    berta.file(eye)
    assert [one["id"] for one in anna.http.get("/api/jobs").json()] == [job["id"]]
    assert berta.http.get("/api/jobs").json() == []
    addresses = (file["pixels"]["url"], f"/api/jobs/{job['id']}", job["images"][0]["download"])
    for address in addresses:
        assert anna.http.get(address).status_code == 200
        assert berta.http.get(address).status_code == 404
        assert server.user().http.get(address).status_code == 410
    assert berta.http.delete(f"/api/files/{file['id']}").status_code == 404
    assert berta.http.post("/api/jobs/image", json={"file": file["id"], "models": ["bicubic"]}).status_code == 404
    assert (
        berta.http.post(
            "/api/jobs/image",
            json={"file": berta.file(eye)["id"], "models": ["bicubic"], "ground_truth": file["id"]},
        ).status_code
        == 404
    )


def test_what_is_forgotten_is_gone_from_the_disk(server: Server, eye: Path) -> None:
    user = server.user()
    before = files_below(server.folder)
    file = user.file(eye)
    job = user.done("image", file=file["id"], models=["bicubic"])
    assert len(files_below(server.folder)) > len(before)
    assert user.http.delete(f"/api/jobs/{job['id']}").status_code == 204
    assert user.http.get(f"/api/jobs/{job['id']}").status_code == 404
    assert user.http.delete("/api/session").status_code == 204
    assert files_below(server.folder) == before
    assert user.http.get("/api/files").json() == []


def files_below(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


def test_a_job_is_cancelled_while_it_runs(server: Server, tmp_path: Path) -> None:
    user = server.user()
    big = tmp_path / "big.nii.gz"
    nib.Nifti1Image(
        np.random.default_rng(0).integers(0, 900, (120, 120, 60), np.int16), np.diag([1, 1, 2, 1])
    ).to_filename(big)
    job = user.order("volume", file=user.file(big)["id"], model="refiner", scale=2)
    user.wait(job, "running")
    began = time.monotonic()
    assert user.http.delete(f"/api/jobs/{job['id']}").status_code == 204
    assert user.wait(job)["state"] == "cancelled"
    assert time.monotonic() - began < 10
    eye = write_png(tmp_path / "eye.png", np.zeros((16, 16, 3), np.uint8))
    user.done("image", file=user.file(eye)["id"], models=["bicubic"])  # and the next is done as ever


@pytest.mark.slow
def test_answers_tell_nothing_of_the_server_or_the_patient(user: User, real_data: Path) -> None:
    """Every odd file: an answer in words, without places, tags or traces."""
    for path in sorted((real_data / "odd").rglob("*")):
        if not path.is_file() or path.stat().st_size > 2_000_000:
            continue
        answer = user.upload(path)
        assert answer.status_code in (201, 422), (path, answer.text)
        told = answer.json()
        text = answer.text.replace(path.name, "")
        assert "Traceback" not in text
        assert not re.search(r"(/tmp|/home|/root|/usr|/opt|/var|\.py)\b", text), text
        assert not re.search(r"\b1\.\d+\.\d+\.\d+(\.\d+)+\b", text), f"a UID: {text}"
        if answer.status_code == 201:
            user.http.delete(f"/api/files/{told['id']}")


def test_a_zip_of_several_series_is_asked_about(user: User, tmp_path: Path) -> None:
    bundle = tmp_path / "study.zip"
    with zipfile.ZipFile(bundle, "w") as archive:
        for series in ("1.2.3", "1.2.4"):
            for k in range(3 + int(series[-1]) % 2):
                folder = write_slices(tmp_path / f"{series}-{k}", [slice_of(k, SeriesInstanceUID=series)])
                archive.write(next(folder.iterdir()), f"{series}/{k}.dcm")
    answer = user.upload(bundle)
    assert answer.status_code == 422
    assert len(answer.json()["choices"]) == 2
    assert "1.2." not in answer.text
    second = user.upload(bundle, series=2)
    assert second.status_code == 201, second.text
    assert second.json()["facts"]["series"] == list_series(bundle)[1].words
    assert user.done("volume", file=second.json()["id"], model="cubic")["volume"]["file_name"] == "study_cubic.nii.gz"


NRRD = b"NRRD0004\ntype: uchar\ndimension: 3\nsizes: 2 2 2\nencoding: raw\n"
META = b"ObjectType = Image\nNDims = 3\nDimSize = 2 2 2\nElementType = MET_UCHAR\n"
HOSTILE_HEADERS = {
    "plain.nrrd": NRRD + b"data file: /etc/passwd\n\n",
    "joined.nrrd": NRRD + b"Datafile:/etc/passwd\n\n",
    "cr.nrrd": NRRD + b"# a comment\rdata file: /etc/passwd\n\n",
    "endless.nrrd": NRRD + b"# x\n" * 30000 + b"data file: /etc/passwd\n\n",
    "plain.mha": META + b"ElementDataFile = /etc/passwd\n",
    "colon.mha": META + b"ElementDataFile : /etc/passwd\n",
    "list.mha": META + b"ElementDataFile = LIST\n/etc/passwd\n",
    "comment.mha": b"ObjectType = Image\nComment = ElementDataFile = LOCAL\n"
    + META
    + b"ElementDataFile = /etc/passwd\n",
    "lower.mha": META + b"elementdatafile = LOCAL\nElementDataFile = /etc/passwd\n",
    "prefixed.mha": META + b"xElementDataFile = LOCAL\nElementDataFile = /etc/passwd\n",
    "swallowed.mha": META + b"Name\nElementDataFile = LOCAL\nElementDataFile = /etc/passwd\n" + bytes(64),
    "far.mha": META + b"Offset =\nElementDataFile = LOCAL\n" + bytes(100_000) + b"\nElementDataFile = /etc/passwd\n",
    "twice.mha": META + b"ElementDataFile = /etc/passwd\nElementDataFile = LOCAL\n" + bytes(99),
}


@pytest.mark.parametrize("name", HOSTILE_HEADERS)
def test_a_header_cannot_name_files_of_the_server(user: User, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(HOSTILE_HEADERS[name])
    answer = user.upload(tmp_path / name)
    assert answer.status_code == 422
    assert "without its voxels" in answer.json()["error"]


def test_what_unpacks_to_too_much_is_refused_and_harms_nobody(
    server: Server, user: User, eye: Path, tmp_path: Path
) -> None:
    from PIL import Image

    wide = io.BytesIO()
    Image.new("L", (10000, 9000)).save(wide, "png")
    (tmp_path / "wide.png").write_bytes(wide.getvalue())
    answer = user.upload(tmp_path / "wide.png")
    assert answer.status_code == 422
    assert "this server takes at most 64 megapixels" in answer.json()["error"]
    header = nib.Nifti1Header()
    header.set_data_shape((30000, 30000, 30))
    header.set_data_dtype(np.int16)
    (tmp_path / "bomb.nii.gz").write_bytes(gzip.compress(header.binaryblock + bytes(4) + bytes(50_000_000)))
    assert user.upload(tmp_path / "bomb.nii.gz").status_code == 422
    assert user.upload(eye).status_code == 201


@pytest.mark.slow
def test_too_large_a_result_is_refused_with_the_reason(narrow: Server, eye: Path, tmp_path: Path) -> None:
    user = narrow.user()
    job = user.wait(user.order("image", file=user.file(eye)["id"], models=["bicubic"], outscale=4))
    assert job["state"] == "failed"
    assert "megapixels; this server makes at most 0.1" in job["error"]
    (tmp_path / "large.png").write_bytes(bytes(200_000))
    assert user.upload(tmp_path / "large.png").status_code == 413


def test_no_tag_of_a_file_is_repeated(user: User, tmp_path: Path) -> None:
    secret = "SECRET^NAME"
    folder = write_slices(tmp_path / "one", [slice_of(0, PhotometricInterpretation=secret, Modality=secret * 9)])
    answer = user.upload(next(folder.iterdir()))
    assert answer.status_code == 422
    assert "SECRET" not in answer.text
    assert "an unknown kind of DICOM is not handled" in answer.text


def test_a_series_whose_number_ends_like_anothers_is_found(user: User, tmp_path: Path) -> None:
    bundle = tmp_path / "study.zip"
    with zipfile.ZipFile(bundle, "w") as archive:
        for series in ("1.2.840.55", "9.1.2.840.55"):
            for k in range(3):
                folder = write_slices(tmp_path / f"{series}-{k}", [slice_of(k, SeriesInstanceUID=series)])
                archive.write(next(folder.iterdir()), f"{series}/{k}.dcm")
    file = user.upload(bundle, series=1)
    assert file.status_code == 201, file.text
    job = user.done("volume", file=file.json()["id"], model="cubic")
    assert "840.55" not in user.http.get(job["volume"]["sidecar"]).text


def test_places_with_blanks_are_not_told_either(narrow: Server, tmp_path: Path) -> None:
    """A sheared MetaImage is read, and cannot be written: the message of the job names no folder."""
    header = META.replace(b"UCHAR\n", b"UCHAR\nTransformMatrix = 1 0 0 0.5 0.866 0 0 0 1\n").replace(b"2 2 2", b"8 8 8")
    (tmp_path / "sheared.mha").write_bytes(header + b"ElementDataFile = LOCAL\n" + bytes(range(256)) * 2)
    user = narrow.user()
    answer = user.upload(tmp_path / "sheared.mha")
    if answer.status_code == 201:
        job = user.wait(user.order("volume", file=answer.json()["id"], model="cubic", scale=2))
        assert job["state"] == "failed"
        assert "sheared.mha" in job["error"]
        assert "folder" not in job["error"].replace("choose another folder", "")
    assert "folder, x" not in answer.text


def test_a_body_that_is_no_upload_is_short(server: Server, user: User) -> None:
    long = {"token": "a" * 100_000}
    assert user.http.post("/api/login", json=long).status_code == 413

    def pieces():
        for _ in range(20):
            yield b"a" * 10_000

    answer = user.http.post("/api/jobs/image", content=pieces(), headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 410)


def test_uploads_at_once_are_counted(server: Server, eye: Path) -> None:
    user = server.user()
    user.file(eye)
    with ThreadPoolExecutor(8) as crowd:
        answers = list(crowd.map(lambda _: user.upload(eye).status_code, range(30)))
    assert answers.count(201) == 19
    assert answers.count(503) == 11
    assert len(user.http.get("/api/files").json()) == 20
    user.http.delete("/api/session")


def test_another_programs_cookies_do_no_harm(server: Server, user: User, eye: Path) -> None:
    user.file(eye)
    [mine] = [f"{one.name}={one.value}" for one in user.http.cookies.jar]
    for other in ('a={"x":1}', "a b", "user@host=1", 'a="un'):
        answer = httpx.get(f"{server.base}/api/files", headers={"Cookie": f"{other}; {mine}"})
        assert len(answer.json()) == 1, other


@pytest.mark.parametrize("headers", [{"Host": "["}, {"Origin": "http://["}])
def test_broken_headers_are_refused(server: Server, headers: dict[str, str]) -> None:
    answer = httpx.post(f"{server.base}/api/jobs/image", json={}, headers=headers)
    assert answer.status_code in (400, 403)


def test_a_surrogate_is_no_bug(user: User, eye: Path) -> None:
    body = json.dumps({"file": user.file(eye)["id"], "models": ["\ud800"]}).encode()
    answer = user.http.post("/api/jobs/image", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422


def test_who_forgets_all_while_sending_is_told_so(server: Server, eye: Path) -> None:
    user = server.user()
    user.file(eye)
    content = eye.read_bytes()
    cookies = "; ".join(f"{one.name}={one.value}" for one in user.http.cookies.jar)

    def slowly():
        yield content[:100]
        latest = time.monotonic() + 20
        while "upload" not in {path.name for path in files_below(server.folder)} and time.monotonic() < latest:
            time.sleep(0.02)  # the server must have begun: else the upload is a stranger's
        user.http.delete("/api/session")
        yield content[100:]

    answer = httpx.post(f"{server.base}/api/files", content=slowly(), headers={"Cookie": cookies})
    assert answer.status_code == 410


@pytest.mark.parametrize(
    "request_body",
    [
        {"models": ["no-such-model"]},
        {"models": []},
        {"models": ["bicubic"] * 9},
        {"models": ["refiner"]},
        {"models": ["bicubic"], "outscale": 0},
        {"models": ["bicubic"], "outscale": "NaN"},
        {"models": ["../../etc/passwd"]},
        {"models": ["bicubic"], "unknown": 1},
    ],
)
def test_a_request_that_makes_no_sense_is_refused(user: User, eye: Path, request_body: dict) -> None:
    answer = user.http.post("/api/jobs/image", json={"file": user.file(eye)["id"], **request_body})
    assert answer.status_code == 422
    assert set(answer.json()) == {"error"}


JSON = st.recursive(
    st.none() | st.integers() | st.floats() | st.text(max_size=9),
    lambda one: (
        st.lists(one, max_size=4)
        | st.dictionaries(st.sampled_from(["file", "models", "model", "scale", "spacing", "outscale"]), one)
    ),
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.binary(max_size=200) | JSON.map(lambda one: json.dumps(one).encode()),
    kind=st.sampled_from(["image", "volume"]),
)
def test_no_body_is_a_bug(user: User, eye: Path, body: bytes, kind: str) -> None:
    if not user.http.cookies:
        user.file(eye)
    answer = user.http.post(f"/api/jobs/{kind}", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 404, 422)
    assert set(answer.json()) == {"error"}


def test_the_api_describes_itself(user: User, server: Server) -> None:
    described = user.http.get("/api/openapi.json").json()
    paths = set(described["paths"])
    assert {"/api/files", "/api/jobs/image", "/api/jobs/volume", "/api/jobs/{job}", "/api/session"} <= paths
    assert described["paths"]["/api/files"]["post"]["requestBody"]["content"]["application/octet-stream"]
    page = "".join(path.read_text() for path in (Path(medsr.__file__).parent / "commands/serve/page").glob("*.js"))
    assert "/api/jobs" in page
    asked = {re.sub(r"\$\{[^}]*\}", "{}", one).partition("?")[0] for one in re.findall(r"/api/[\w/${}.]*", page)}
    known = {re.sub(r"\{\w+\}", "{}", path) for path in paths} | {"/api/openapi.json"}
    assert {one for one in asked if one not in known and not one.startswith("/api/jobs/{}")} == set()


def test_the_upload_of_too_much_is_refused_before_it_is_sent(server: Server) -> None:
    """2 GB are announced; the answer comes with nothing sent, and nothing is written."""
    at = urlsplit(server.base)
    head = f"POST /api/files HTTP/1.1\r\nHost: {at.netloc}\r\nContent-Length: {2 << 30}\r\nX-File-Name: a.nii\r\n\r\n"
    with socket.create_connection((at.hostname, at.port), timeout=10) as line:
        line.sendall(head.encode())
        began = time.monotonic()
        answer = line.recv(65536).decode()
    assert time.monotonic() - began < 3
    assert " 413 " in answer.splitlines()[0]


def test_an_upload_that_never_says_its_size_is_cut_off(narrow: Server) -> None:
    sent = 0

    def endless():
        nonlocal sent
        for _ in range(3000):
            sent += 100_000
            yield bytes(100_000)

    try:
        status = narrow.user().http.post("/api/files", content=endless()).status_code
    except Exception:  # the connection may be closed while we still send
        status = 413
    assert status == 413
    assert sent < 200_000_000
    assert not [path for path in files_below(narrow.folder) if path.name == "upload"]


@pytest.mark.slow
def test_a_folder_is_private_and_goes_with_its_server_or_with_the_next(eye: Path, tmp_path: Path) -> None:
    with serving(tmp_path / "store", "--model", "bicubic") as first:
        user = first.user()
        user.done("image", file=user.file(eye)["id"], models=["bicubic"])
        children = first.children
        first.stop(signal.SIGKILL)
        [left] = first.folder.iterdir()
        with serving(tmp_path / "store", "--model", "bicubic") as second:
            [folder] = second.folder.iterdir()
            assert folder != left
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
            with serving(tmp_path / "store", "--model", "bicubic"):  # a third leaves the living one's alone
                assert second.user().upload(eye).status_code == 201
            children += second.children
            second.stop()
        assert list(second.folder.iterdir()) == []  # one that is ended takes its own along
    assert gone(children), "children outlive their server"


@pytest.mark.slow
def test_results_are_gone_in_time(eye: Path, tmp_path: Path) -> None:
    with serving(tmp_path / "store", "--model", "bicubic", "--keep", "0.1") as server:
        user = server.user()
        user.done("image", file=user.file(eye)["id"], models=["bicubic"])
        latest = time.monotonic() + 30
        while len(files_below(server.folder)) > 1 and time.monotonic() < latest:
            time.sleep(0.3)
        assert [path.name for path in files_below(server.folder)] == ["in-use"]
        assert user.http.get("/api/jobs").json() == []


def test_a_crash_on_one_file_is_not_the_next_ones(server: Server, user: User, eye: Path) -> None:
    """The processes that read and compute are killed, as a decoder's fault would: the next user notices nothing."""
    user.done("image", file=user.file(eye)["id"], models=["bicubic"])
    for child in server.children:
        os.kill(child, signal.SIGKILL)
    other = server.user()
    answers = [other.upload(eye).status_code for _ in range(2)]
    assert answers[1] == 201
    file = other.file(eye)
    job = other.wait(other.order("image", file=file["id"], models=["bicubic"]))
    if job["state"] == "failed":  # it was on its way when the process was found dead
        job = other.wait(other.order("image", file=file["id"], models=["bicubic"]))
    assert job["state"] == "done"
