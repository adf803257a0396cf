"""From an archive and back: a real Orthanc gives a study, and gets the derived series; files and archive agree."""

from __future__ import annotations

import json
import os
import re
import signal
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import trustme
from pydicom import dcmread
from typer.testing import CliRunner

import medsr
from medsr.cli.app import app
from medsr.core.errors import ArchiveError, ChoiceError, DependencyError, InputError, UsageError
from medsr.io.dicomweb import origins, sending, session
from medsr.io.dicomweb.client import Client
from medsr.io.dicomweb.credentials import Credentials
from medsr.io.dicomweb.listing import instances_of
from tests.helpers import orthanc_here
from tests.helpers.dicom import axial_slice, write_slices, write_xray
from tests.helpers.orthanc_here import PASSWORD, USER, Orthanc, orthanc
from tests.helpers.tls_here import tls_before

STUDY, FIRST, SECOND = "1.2.826.99", "1.2.826.9", "1.2.826.10"
NAME = "DOE^JANE"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    if orthanc_here.program() is None or orthanc_here.plugin() is None:
        pytest.skip("needs Orthanc with its DICOMweb plugin: install orthanc, orthanc-dicomweb")
    with orthanc(tmp_path_factory.mktemp("orthanc")) as here:
        yield here


@pytest.fixture(autouse=True)
def user(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Who may use the archive; returns the folder for temporary files."""
    monkeypatch.setenv("MEDSR_DICOMWEB_USER", USER)
    monkeypatch.setenv("MEDSR_DICOMWEB_PASSWORD", PASSWORD)
    folder = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


def slices(series: str, number: int, count: int) -> list:
    random = np.random.default_rng(number)
    tags = {
        "StudyInstanceUID": STUDY,
        "SeriesInstanceUID": series,
        "SeriesNumber": number,
        "SeriesDescription": f"T{number} brain",
        "Modality": "MR",
        "PatientName": NAME,
    }
    images = [axial_slice(3 * k, 0, k + 1, **tags) for k in range(count)]
    for k, image in enumerate(images):
        image.PixelData = (random.integers(0, 900, (6, 8)) + 5 * k).astype(np.uint16).tobytes()
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = f"{series}.{number}.{k + 1}"
    return images


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The second series, as files."""
    return write_slices(tmp_path_factory.mktemp("files") / SECOND, slices(SECOND, 2, 5))


@pytest.fixture
def archive(server: Orthanc, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Orthanc:
    """The archive with a study of two series."""
    server.empty()
    other = write_slices(tmp_path_factory.mktemp("other") / "first", slices(FIRST, 1, 4))
    server.upload([*sorted(folder.iterdir()), *sorted(other.iterdir())])
    return server


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_a_series_goes_round_and_is_what_the_same_files_give(
    archive: Orthanc, folder: Path, tmp_path: Path, user: Path
) -> None:
    """Pixel by pixel and UID by UID: out of the archive, beside it, and in it again."""
    [local] = medsr.volume(folder, tmp_path / "local", dicom=True, model="cubic")
    there = archive.address
    [outcome] = medsr.volume(
        None, tmp_path / "out", from_archive=there, study=STUDY, series="t2", to_archive=there, model="cubic"
    )
    assert outcome.error is None
    assert outcome.output == tmp_path / "out" / SECOND
    assert contents(outcome.output) == contents(local.output)
    [series] = set(archive.series()) - {FIRST, SECOND}
    stored = archive.files(series)
    assert sorted(stored.values()) == sorted(contents(local.output).values())
    for uid, file in stored.items():
        dataset = dcmread(BytesIO(file))
        assert (dataset.SOPInstanceUID, dataset.SeriesInstanceUID, dataset.StudyInstanceUID) == (uid, series, STUDY)
        assert dataset.PatientName == NAME
    assert list(user.iterdir()) == []


@pytest.mark.slow
def test_a_series_that_is_sent_again_is_there_once(archive: Orthanc, tmp_path: Path, user: Path) -> None:
    """And nothing stays here that was not asked for."""
    there = archive.address
    for _ in range(2):
        [outcome] = medsr.volume(from_archive=there, study=STUDY, series=FIRST, to_archive=there, model="cubic")
        assert outcome.error is None
        assert any(re.fullmatch(rf"sent to {there}: \d+ images, series 2\.25\.\d+", note) for note in outcome.notes)
        assert outcome.output == Path(FIRST)
    assert len(archive.series()) == 3
    [series] = set(archive.series()) - {FIRST, SECOND}
    held = instances_of(Client(there, Credentials(user=USER, password=PASSWORD)), STUDY, series)
    assert f": {len(held)} images" in outcome.notes[-1]
    assert list(user.iterdir()) == []


def test_what_is_done_is_sent_without_being_made_again(archive: Orthanc, tmp_path: Path) -> None:
    arguments = {"from_archive": archive.address, "study": STUDY, "series": FIRST, "dicom": True, "model": "cubic"}
    medsr.volume(out=tmp_path / "out", **arguments)
    [outcome] = medsr.volume(out=tmp_path / "out", to_archive=archive.address, skip_done=True, **arguments)
    assert outcome.skipped
    assert len(archive.series()) == 3
    table = (tmp_path / "out" / "status.tsv").read_text()
    assert table.splitlines()[1].startswith(f"{FIRST}\tdone")


def test_the_sidecar_says_where_the_scan_came_from_and_the_result_can_be_made_again(
    archive: Orthanc, folder: Path, tmp_path: Path
) -> None:
    medsr.volume(out=tmp_path / "out", from_archive=archive.address, study=STUDY, series="2", model="cubic")
    sidecar = tmp_path / "out" / f"{SECOND}.json"
    summary = json.loads(sidecar.read_text())
    assert summary["archive"] == {"address": archive.address, "study": STUDY, "series": SECOND}
    assert summary["input_file"] == SECOND
    text = sidecar.read_text() + (tmp_path / "out" / "status.tsv").read_text()
    assert not any(secret in text for secret in (PASSWORD, USER, NAME, "medsr-archive", "brain"))
    with pytest.raises(InputError, match=rf"not there; .* \(fetched from {archive.address}\)"):
        medsr.reproduce(sidecar)
    [compared] = medsr.reproduce(sidecar, folder)
    assert compared.same, compared.how


def test_several_series_are_listed_without_a_name(archive: Orthanc, tmp_path: Path) -> None:
    with pytest.raises(ChoiceError) as raised:
        medsr.volume(out=tmp_path / "out", from_archive=archive.address, study=STUDY)
    error = raised.value
    assert error.choices[0].split() == "1 MR series number 1 T1 brain 4 images ...826.9".split()
    assert error.choices[1].split() == "2 MR series number 2 T2 brain 5 images ...826.10".split()
    assert "brain" not in str(error)  # which may go into a file
    assert NAME not in str(error) + "".join(error.choices)
    assert not (tmp_path / "out").exists()


def test_the_command_line_has_the_same_options(archive: Orthanc, tmp_path: Path) -> None:
    source = ["--from", archive.address, "--study", STUDY]
    listed = CliRunner().invoke(app, ["volume", *source, "--out", str(tmp_path / "out")])
    assert isinstance(listed.exception, ChoiceError)
    assert listed.exception.exit_code == 2
    options = ["--series", "1", "--series", "t2", "--model", "bicubic"]
    done = CliRunner().invoke(app, ["upscale", *source, *options, "--to", archive.address])
    assert done.exit_code == 0, done.output
    assert done.output.count("sent to ") == 9
    assert f"{FIRST}/0001.dcm" in done.output
    refused = CliRunner().invoke(app, ["volume", *source, "--ca", str(tmp_path / "none.pem"), "--to", archive.address])
    assert "is not a file" in str(refused.exception)


def test_several_series_are_refined_each_by_itself(archive: Orthanc, tmp_path: Path) -> None:
    """One of which the archive has lost an image costs the other nothing."""
    with archive.http() as http:
        [lost] = http.post("/tools/find", json={"Level": "Series", "Query": {"SeriesInstanceUID": FIRST}}).json()
        image = http.get(f"/series/{lost}").json()["Instances"][-1]
        name = http.get(f"/instances/{image}/attachments/dicom/info").json()["Uuid"]
        next(archive.storage.rglob(name)).unlink()
    there = {"from_archive": archive.address, "study": STUDY, "series": ["1", "2", SECOND]}
    heard: list[Path] = []
    outcomes = medsr.volume(
        out=tmp_path / "out", model="cubic", on_outcome=lambda outcome: heard.append(outcome.input), **there
    )
    assert [type(outcome.error) for outcome in outcomes] == [ArchiveError, type(None)]
    assert outcomes[1].output == tmp_path / "out" / f"{SECOND}.nii.gz"
    assert heard == [Path(FIRST), Path(SECOND)]
    with pytest.raises(ArchiveError):
        medsr.volume(out=tmp_path / "one.nii.gz", together=True, force=True, model="cubic", **there)
    with pytest.raises(UsageError, match="name that series alone"):
        medsr.volume(out=tmp_path / "two", **there | {"series": ["1:1", "2"]})


@pytest.mark.slow
def test_several_series_are_put_together(archive: Orthanc, tmp_path: Path) -> None:
    there = {"from_archive": archive.address, "study": STUDY, "series": ["1", "2"]}
    [outcome] = medsr.volume(
        out=tmp_path / "one.nii.gz", together=True, registration=False, force=True, model="cubic", **there
    )
    assert outcome.error is None
    summary = json.loads((tmp_path / "one.json").read_text())
    assert [entry["archive"]["series"] for entry in summary["input_files"]] == [FIRST, SECOND]


def test_images_go_round_too(archive: Orthanc, tmp_path: Path, user: Path) -> None:
    archive.empty()
    xray = write_xray(tmp_path / "x.dcm", np.random.default_rng(0).integers(0, 4000, (40, 32), np.uint16))
    study, series = (str(dcmread(xray)[tag].value) for tag in ("StudyInstanceUID", "SeriesInstanceUID"))
    archive.upload([xray])
    there = archive.address
    [local] = medsr.upscale(xray, tmp_path / "local", model="bicubic")
    [outcome] = medsr.upscale(out=tmp_path / "out", from_archive=there, study=study, to_archive=there, model="bicubic")
    assert outcome.error is None
    assert outcome.output == tmp_path / "out" / series / "0001.dcm"
    assert outcome.output.read_bytes() == local.output.read_bytes()
    [derived] = set(archive.series()) - {series}
    assert list(archive.files(derived).values()) == [local.output.read_bytes()]
    entry = json.loads((tmp_path / "out" / "upscale.json").read_text())["results"][f"{series}/0001.dcm"]
    assert entry["archive"] == {"address": there, "study": study, "series": series}
    assert list(user.iterdir()) == []


def test_files_go_into_an_archive(archive: Orthanc, folder: Path, fundus: np.ndarray, tmp_path: Path) -> None:
    from tests.helpers.images import write_png

    [outcome] = medsr.volume(folder, tmp_path / "out", to_archive=archive.address, model="cubic")
    assert outcome.error is None
    assert len(archive.series()) == 3
    write_png(tmp_path / "eye.png", fundus[:32, :32])
    [refused] = medsr.upscale(tmp_path / "eye.png", tmp_path / "eyes", to_archive=archive.address, model="bicubic")
    assert isinstance(refused.error, UsageError)
    assert "is not DICOM" in str(refused.error)


def test_a_wrong_password_is_one_line_before_any_work(
    archive: Orthanc, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDSR_DICOMWEB_PASSWORD", "not it")
    there = archive.address
    for arguments in ({"from_archive": there, "study": STUDY}, {"scans": folder, "to_archive": there}):
        with pytest.raises(ArchiveError, match="does not accept the token or password") as raised:
            medsr.volume(out=tmp_path / "out", **arguments)
        assert "not it" not in str(raised.value)
        assert raised.value.exit_code == 3
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_an_unknown_study_and_an_archive_that_is_not_there(archive: Orthanc, tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match=r"holds no images of study 1\.2\.3"):
        medsr.volume(out=tmp_path, from_archive=archive.address, study="1.2.3")
    with pytest.raises(ArchiveError, match=r"not DICOMweb|does not have it"):
        medsr.volume(out=tmp_path, from_archive=f"{archive.base}/app", study=STUDY)
    with pytest.raises(ArchiveError, match="cannot be reached"):
        medsr.volume(out=tmp_path, from_archive="http://127.0.0.1:1/x", study=STUDY)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "name a scan"),
        ({"from_archive": "https://a.example"}, "needs `study`"),
        ({"from_archive": "https://a.example", "study": "../x"}, "expected a StudyInstanceUID"),
        ({"from_archive": "https://a.example", "study": STUDY, "scans": "x"}, "not both"),
        ({"study": STUDY, "scans": "x"}, "go with an archive"),
        ({"ca": "x", "scans": "x"}, "go with an archive"),
        ({"study": STUDY, "scans": "x", "to_archive": "https://a.example"}, "goes with `from_archive`"),
        ({"scans": ["a", "b"], "together": True, "to_archive": "https://a.example"}, "writes no DICOM"),
        ({"scans": "x", "to_archive": "https://me:secret@a.example"}, "leave the user"),
    ],
)
def test_arguments_that_do_not_fit_together(arguments: dict, words: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=words):
        medsr.volume(out=tmp_path / "out", **arguments)


def test_the_password_of_one_archive_is_not_another_s(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Credentials] = []
    monkeypatch.setattr(Client, "__init__", lambda self, address, credentials: made.append(credentials))
    monkeypatch.setattr(Client, "address", "https://a.example", raising=False)
    monkeypatch.setattr(sending, "check_target", lambda _: (_ for _ in ()).throw(ArchiveError("enough")))
    monkeypatch.setenv("MEDSR_DICOMWEB_TO_TOKEN", "other")
    for target, token in (("https://b.example", "other"), ("https://a.example:443/x", None)):
        with pytest.raises(ArchiveError, match="enough"):
            medsr.volume(from_archive="https://a.example", study=STUDY, to_archive=target)
        assert (made[-2].password, made[-1].token) == (PASSWORD, token)


def test_without_the_library_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "medsr.io.dicomweb.client")
    monkeypatch.setitem(sys.modules, "dicomweb_client.api", None)
    with pytest.raises(DependencyError, match=r"medsr\[dicomweb\]"):
        medsr.volume(from_archive="https://a.example", study=STUDY)


def test_messages_do_not_name_a_folder_that_is_gone(archive: Orthanc, tmp_path: Path) -> None:
    archive.empty()
    damaged = slices(SECOND, 2, 3)
    for image in damaged:
        image.ImageOrientationPatient = [1, 0, 0, 1, 0, 0]
    archive.upload(sorted(write_slices(tmp_path / "damaged", damaged).iterdir()))
    lines: list[str] = []
    [outcome] = medsr.volume(out=tmp_path / "out", from_archive=archive.address, study=STUDY, notify=lines.append)
    assert outcome.error is not None
    table = (tmp_path / "out" / "status.tsv").read_text()
    assert "medsr-archive" not in str(outcome.error) + "".join(lines) + table
    assert SECOND in str(outcome.error)


@pytest.mark.slow
def test_an_archive_that_dies_while_images_are_sent_gets_the_rest_later(
    folder: Path, tmp_path: Path, server: Orthanc, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "LARGEST_REQUEST", 1)
    monkeypatch.setattr(session, "BACKOFF", 0.01)
    [outcome] = medsr.volume(folder, tmp_path / "out", dicom=True, model="cubic")
    paths = sorted(outcome.output.iterdir())
    credentials = Credentials(user=USER, password=PASSWORD)
    arrived = f"3 of {len(paths)} images arrived"
    with orthanc(tmp_path / "dying") as dying, pytest.raises(ArchiveError, match=arrived):
        send_until(dying, paths, 3, credentials)
    with orthanc(tmp_path / "dying") as living:
        assert sending.send_files(Client(living.address, credentials), paths).images == len(paths)
        [series] = living.series()
        assert sorted(living.files(series).values()) == sorted(path.read_bytes() for path in paths)


def send_until(archive: Orthanc, paths: list[Path], last: int, credentials: Credentials) -> None:
    """Send, and kill the archive when it has `last` images."""

    def kill(count: int) -> None:
        if count == last:
            archive.process.kill()
            archive.process.wait()

    sending.send_files(Client(archive.address, credentials), paths, kill)


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """A hospital's authority, a stranger's, and what the hospital's gave a server and a client."""
    folder = tmp_path / "certificates"
    folder.mkdir()
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    trustme.CA().cert_pem.write_to_path(folder / "stranger.pem")
    for name in ("localhost", "client.example"):
        authority.issue_cert(name).private_key_and_cert_chain_pem.write_to_path(folder / f"{name}.pem")
    return folder


def test_tls_is_verified_and_a_client_has_its_certificate(
    archive: Orthanc, certificates: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "BACKOFF", 0.01)
    ca, stranger = certificates / "ca.pem", certificates / "stranger.pem"
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(ca))
    context.load_cert_chain(certificates / "localhost.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    monkeypatch.setenv("MEDSR_DICOMWEB_CERTIFICATE", str(certificates / "client.example.pem"))
    with tls_before(archive.port, context) as port:
        there = f"https://localhost:{port}/dicom-web"

        def listed(address: str = there, ca: Path | None = None) -> None:
            medsr.volume(out=tmp_path / "no", from_archive=address, study=STUDY, ca=ca)

        [outcome] = medsr.volume(from_archive=there, study=STUDY, series=SECOND, to_archive=there, ca=ca, model="cubic")
        assert outcome.error is None
        assert len(archive.series()) == 3
        for untrusted in (None, stranger):
            with pytest.raises(ArchiveError, match="certificate cannot be trusted"):
                listed(ca=untrusted)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(stranger))  # of others, and not ours
        monkeypatch.setenv("MEDSR_DICOMWEB_CA", str(ca))
        with pytest.raises(ChoiceError):
            listed()
        with pytest.raises(ArchiveError, match="certificate cannot be trusted"):
            listed(there.replace("localhost", "127.0.0.1"))  # not the name in the certificate
        monkeypatch.delenv("MEDSR_DICOMWEB_CERTIFICATE")
        with pytest.raises(ArchiveError):
            listed()


def test_a_folder_for_what_was_fetched_is_private_and_goes(user: Path) -> None:
    def terminated() -> None:
        with origins.temporary_folder() as folder:
            assert folder.stat().st_mode & 0o777 == 0o700
            (folder / "file").write_text("x")
            os.utime(folder, (1, 1))
            origins.remove_abandoned()
            assert folder.is_dir(), "somebody holds it"
            raise SystemExit(143)

    with pytest.raises(SystemExit):
        terminated()
    assert list(user.iterdir()) == []


def test_what_a_killed_process_has_left_goes_with_the_next(user: Path) -> None:
    code = (
        "import os, signal\n"
        "from medsr.io.dicomweb.origins import temporary_folder\n"
        "with temporary_folder() as folder:\n"
        "    (folder / 'scan.dcm').write_text('x')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], check=False)
    assert ended.returncode == -signal.SIGKILL
    [left] = user.iterdir()
    origins.remove_abandoned()
    assert left.is_dir(), "it may just be made"
    os.utime(left, (1, 1))
    with origins.temporary_folder():
        assert not left.exists()


@pytest.mark.slow
def test_a_command_that_is_terminated_leaves_nothing(archive: Orthanc, tmp_path: Path, user: Path) -> None:
    arguments = ["volume", "--from", archive.address, "--study", STUDY, "--series", FIRST, "--to", archive.address]
    with subprocess.Popen([sys.executable, "-m", "medsr", *arguments], cwd=tmp_path, env=os.environ) as process:
        latest = time.monotonic() + 60
        while not list(user.glob("medsr-archive-*/*/*.dcm")):
            assert time.monotonic() < latest
            time.sleep(0.01)
        process.terminate()
    assert process.returncode == 143
    assert list(user.glob("medsr-*")) == []
