"""One user's part of the disk, and of what is on its way, at a real server."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import nibabel as nib
import numpy as np
import pytest

import medsr
from medsr.commands.serve.quota import stored_bytes
from tests.helpers.images import write_png
from tests.helpers.server import Server, User, serving

FULL = "your files and results would take more than 1 MB here; forget some first"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that keeps 1 MB of each user."""
    with serving(tmp_path_factory.mktemp("small") / "store", "--model", "cubic", "--max-stored", "1") as running:
        yield running


@pytest.fixture
def anna(small: Server) -> Iterator[User]:
    user = small.user()
    yield user
    user.http.delete("/api/session")


def noise(path: Path, *shape: int) -> Path:
    return write_png(path, np.random.default_rng(0).integers(0, 255, shape, np.uint8))


def test_uploads_and_what_is_shown_of_them_fill_the_share(small: Server, anna: User, tmp_path: Path) -> None:
    """An image of 270 kB takes 540: the page shows its values."""
    image = noise(tmp_path / "a.png", 300, 300, 3)
    assert anna.file(image)
    assert [anna.upload(image).status_code for _ in range(2)] == [503, 503]
    assert anna.upload(image).json() == {"error": FULL}
    berta = small.user()
    assert berta.upload(image).status_code == 201  # another has a share of their own
    berta.http.delete("/api/session")
    [file] = anna.http.get("/api/files").json()
    assert anna.http.delete(f"/api/files/{file['id']}").status_code == 204
    assert anna.upload(image).status_code == 201  # and there is room again
    assert stored_bytes(small.folder) < 1_000_000


def test_what_unpacks_to_more_than_the_share_is_refused(small: Server, anna: User, tmp_path: Path) -> None:
    image = write_png(tmp_path / "a.png", np.zeros((1000, 1000, 3), np.uint8))
    scan = tmp_path / "a.nii.gz"
    nib.Nifti1Image(np.zeros((100, 100, 100), np.int16), np.eye(4)).to_filename(scan)
    for path in (image, scan):
        assert path.stat().st_size < 20_000
        answer = anna.upload(path)
        assert (answer.status_code, answer.json()) == (503, {"error": FULL})
    assert stored_bytes(small.folder) == 0


@pytest.mark.slow
def test_a_result_that_exceeds_the_share_is_refused_and_removed(small: Server, anna: User, tmp_path: Path) -> None:
    image = anna.file(noise(tmp_path / "a.png", 100, 100, 3))
    path = tmp_path / "a.nii"
    values = np.random.default_rng(0).integers(0, 900, (30, 30, 30), np.int16)
    nib.Nifti1Image(values, np.diag([1, 1, 2, 1])).to_filename(path)
    scan = anna.file(path)
    before = stored_bytes(small.folder)
    large = anna.wait(anna.order("image", file=image["id"], models=["bicubic", "lanczos"], outscale=3))
    assert (large["state"], large["error"]) == ("failed", FULL)  # the first alone has room
    large = anna.wait(anna.order("volume", file=scan["id"], model="cubic", scale=3))
    assert (large["state"], large["error"]) == ("failed", FULL)
    assert stored_bytes(small.folder) == before
    assert anna.done("volume", file=scan["id"], model="cubic")["volume"]
    assert anna.done("image", file=image["id"], models=["bicubic"], outscale=1.5)["images"]
    assert before < stored_bytes(small.folder) < 1_000_000


def test_many_jobs_do_not_add_up_to_more_than_the_share(small: Server, anna: User, tmp_path: Path) -> None:
    image = anna.file(noise(tmp_path / "a.png", 100, 100, 3))
    states = []
    for _ in range(3):
        jobs = [anna.order("image", file=image["id"], models=["bicubic"], outscale=2) for _ in range(2)]
        states += [anna.wait(job)["state"] for job in jobs]
    assert states == ["done"] * states.count("done") + ["failed"] * states.count("failed")
    assert 2 <= states.count("done") < 6
    assert stored_bytes(small.folder) < 1_000_000


def test_a_user_has_eight_uploads_on_their_way(small: Server, anna: User, eye: Path) -> None:
    """Nine begin; whichever comes last is refused at once, the others go on.

    They share a session: without one, each upload would be another user's.
    """
    anna.file(eye)
    content, at = eye.read_bytes(), urlsplit(small.base)
    cookies = "; ".join(f"{one.name}={one.value}" for one in anna.http.cookies.jar)
    head = f"POST /api/files HTTP/1.1\r\nHost: {at.netloc}\r\nCookie: {cookies}\r\nX-File-Name: eye.png\r\n"
    begin = f"{head}Content-Length: {len(content)}\r\nConnection: close\r\n\r\n".encode() + content[:100]
    with ExitStack() as stack:
        lines = [stack.enter_context(socket.create_connection((at.hostname, at.port), timeout=60)) for _ in range(9)]
        for line in lines:
            line.sendall(begin)
        [refused], _, _ = select.select(lines, [], [], 20)
        answer = refused.recv(65536)
        assert b" 503 " in answer
        assert b"busy: 8 of your uploads are on their way; wait for one" in answer + refused.recv(65536)
        other = small.user()
        assert other.upload(eye).status_code == 201
        other.http.delete("/api/session")
        lines.remove(refused)
        for line in lines:
            line.sendall(content[100:])
        assert [line.recv(12) for line in lines] == [b"HTTP/1.1 201"] * 8


@pytest.mark.slow
def test_an_upload_may_be_called_like_what_the_page_shows(server: Server, tmp_path: Path) -> None:
    """Scans named `view.nii`, as the viewer's copy is: all of the upload is refined, and kept as it was sent."""
    path = tmp_path / "view.nii"
    values = np.random.default_rng(0).integers(0, 900, (8, 9, 6, 2), np.int16)
    nib.Nifti1Image(values, np.diag([1, 1, 2, 1])).to_filename(path)
    user = server.user()
    file = user.file(path)
    job = user.done("volume", file=file["id"], model="cubic")
    [made] = medsr.volume(path, tmp_path / "out", model="cubic")
    result = user.http.get(job["volume"]["download"]).content
    assert result == made.output.read_bytes()
    assert nib.Nifti1Image.from_bytes(result).shape[3] == 2
    shown = nib.Nifti1Image.from_bytes(user.http.get(file["nifti"]).content)
    np.testing.assert_array_equal(shown.dataobj, values[..., 0])
    assert path.read_bytes() in [one.read_bytes() for one in server.folder.rglob("view.nii")]
    user.http.delete("/api/session")
