from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
import yaml

from medsr.core.errors import UsageError, WeightsError
from medsr.networks import download, transfer, weight_store
from medsr.networks.checkpoint import Spec

CONTENT = b"the weights" * 100


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing on the test's output."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A web server on this machine and the folder it serves."""
    folder = tmp_path / "served"
    folder.mkdir()
    http = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{http.server_port}", folder
    http.shutdown()
    http.server_close()


@pytest.fixture
def manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: tuple[str, Path]) -> str:
    """A manifest of two files on that server: one with its hash, one without."""
    url, folder = server
    (folder / "known.pth").write_bytes(CONTENT)
    (folder / "unknown.pth").write_bytes(CONTENT)
    common = {"role": "generator", "architecture": "rrdb", "scale": 4, "licence": "MIT", "source": "test"}
    entries = {"name": "known", "file": "known.pth", "url": f"{url}/known.pth", **common}
    entries |= {"sha256": hashlib.sha256(CONTENT).hexdigest(), "size": len(CONTENT)}
    unknown = {"name": "unknown", "file": "unknown.pth", "url": f"{url}/unknown.pth", **common}
    resources = tmp_path / "resources"
    resources.mkdir()
    (resources / "manifest.yml").write_text(yaml.safe_dump({"weights": [entries, unknown]}))
    monkeypatch.setattr(weight_store, "resource_dir", lambda _: resources)
    return url


def test_the_shipped_manifest_names_the_stock_files_and_invents_no_hash() -> None:
    entries = weight_store.entries()
    stock = entries["realesrgan-x4plus"]
    assert stock.size == 67_040_989
    assert stock.sha256 == "4fa0d38905f75ac06eb49a7951b426670021be3018265fd191d2125df9d682f1"
    for name in ("realesrgan-x4plus-netd", "realesrgan-x2plus", "realesrnet-x4plus"):
        assert entries[name].sha256 is None
        assert entries[name].url
    assert entries["vgg19"].sha256 == "dcbb9e9d"  # what torchvision states in the file's name


def test_a_withdrawn_model_is_refused_with_the_reason_and_the_one_that_stays() -> None:
    assert "medsr-retina-x4-sharp" in weight_store.withdrawn()
    for name, model in weight_store.withdrawn().items():
        assert name not in weight_store.entries()
        assert weight_store.entries()[model.instead].suits
        with pytest.raises(UsageError) as error:
            weight_store.locate(name)
        assert str(error.value) == f"{name}: was withdrawn, because {model.because}; use {model.instead}"


def test_a_file_of_a_withdrawn_model_may_be_imported_and_used_by_its_name(tiny_model: Path) -> None:
    """Who must make an old result again has the file."""
    download.import_weights(tiny_model, "medsr-retina-x4-sharp")
    assert weight_store.locate("medsr-retina-x4-sharp").is_file()


def test_fetch_downloads_once_and_verifies(manifest: str, server: tuple[str, Path]) -> None:
    path = download.fetch("known")
    assert path.read_bytes() == CONTENT
    (server[1] / "known.pth").unlink()
    assert download.fetch("known") == path  # no second download
    assert weight_store.locate("known") == path


def test_a_download_that_is_not_what_the_manifest_says_is_refused_and_leaves_nothing(
    manifest: str, server: tuple[str, Path], medsr_home: Path
) -> None:
    (server[1] / "known.pth").write_bytes(CONTENT[:-1] + b"X")
    with pytest.raises(WeightsError, match="sha256"):
        download.fetch("known")
    (server[1] / "known.pth").write_bytes(CONTENT[:50])
    with pytest.raises(WeightsError, match="50 bytes"):
        download.fetch("known")
    assert not [path for path in medsr_home.rglob("*") if path.is_file()]


def test_an_unknown_hash_is_recorded_on_first_download_and_demanded_ever_after(manifest: str) -> None:
    path = download.fetch("unknown")
    entry = weight_store.get("unknown")
    assert entry.recorded
    assert entry.sha256 == hashlib.sha256(CONTENT).hexdigest()
    path.write_bytes(b"tampered" * 100)
    with pytest.raises(WeightsError, match="will not be used"):
        weight_store.locate("unknown")


@pytest.mark.slow
def test_a_server_that_is_down_or_lacks_the_file_gives_the_way_out(manifest: str, server: tuple[str, Path]) -> None:
    (server[1] / "known.pth").unlink()
    with pytest.raises(WeightsError, match=r"medsr weights import known\.pth"):
        download.fetch("known")
    with pytest.raises(WeightsError, match=r"cannot be downloaded .* \(no connection to 127\.0\.0\.1: no network, or"):
        download.fetch("known", mirror="http://127.0.0.1:9")


def test_a_mirror_serves_files_under_their_own_names(manifest: str, server: tuple[str, Path]) -> None:
    (server[1] / "mirror").mkdir()
    (server[1] / "known.pth").rename(server[1] / "mirror" / "known.pth")
    assert download.fetch("known", mirror=f"{manifest}/mirror/").read_bytes() == CONTENT


def test_import_recognises_a_file_by_its_content(manifest: str, tmp_path: Path) -> None:
    brought = tmp_path / "renamed on a usb stick.bin"
    brought.write_bytes(CONTENT)
    assert download.import_weights(brought).name == "known"
    assert weight_store.locate("known").read_bytes() == CONTENT


def test_import_refuses_what_is_not_in_the_manifest(manifest: str, tmp_path: Path) -> None:
    brought = tmp_path / "known.pth"
    brought.write_bytes(b"something else")
    with pytest.raises(WeightsError):
        download.import_weights(brought)
    with pytest.raises(WeightsError):
        download.import_weights(brought, "known")
    other = tmp_path / "other.pth"
    other.write_bytes(b"something else")
    with pytest.raises(WeightsError, match="--name NAME"):
        download.import_weights(other)


def test_a_model_of_ones_own_is_imported_by_name_and_held_to_its_hash(tmp_path: Path) -> None:
    brought = tmp_path / "mine.pth"
    torch.save(Spec("rrdb", 2, 3, {"features": 8, "blocks": 1, "growth": 4}).build().state_dict(), brought)
    entry = download.import_weights(brought, "my-model")
    assert (entry.scale, entry.architecture) == (2, "rrdb")
    path = weight_store.locate("my-model")
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(WeightsError, match="will not be used"):
        weight_store.locate("my-model")


@pytest.mark.parametrize("name", ["../evil", "bicubic", "a/b", ""])
def test_names_that_are_paths_or_baselines_are_refused(tmp_path: Path, name: str) -> None:
    brought = tmp_path / "mine.pth"
    torch.save(Spec("rrdb", 2, 3, {"features": 8, "blocks": 1, "growth": 4}).build().state_dict(), brought)
    with pytest.raises(UsageError):
        download.import_weights(brought, name)


def test_missing_and_mistyped_names_say_what_to_do() -> None:
    with pytest.raises(WeightsError, match="medsr weights fetch realesrgan-x4plus"):
        weight_store.locate("realesrgan-x4plus")
    with pytest.raises(UsageError, match="did you mean 'realesrgan-x4plus'"):
        weight_store.locate("realesrgan-x4pluss")
    with pytest.raises(WeightsError, match="no such weight file"):
        weight_store.locate("/nowhere/model.pth")


def _renamed(manifest: str, tmp_path: Path, url: str) -> None:
    file = tmp_path / "resources" / "manifest.yml"
    file.write_text(file.read_text().replace(f"{manifest}/known.pth", url))


@pytest.mark.parametrize("url", ["http://weights.example/known.pth", "ftp://127.0.0.1/known.pth", "file:///etc/passwd"])
def test_only_https_is_downloaded_from(manifest: str, tmp_path: Path, url: str) -> None:
    _renamed(manifest, tmp_path, url)
    with pytest.raises(WeightsError, match="not https"):
        download.fetch("known")


class _Flaky(_Quiet):
    """Breaks the first connections in the middle of the file; sends `redirect` elsewhere."""

    breaks = 0
    asked = 0

    def do_GET(self) -> None:
        _Flaky.asked += 1
        if self.path == "/redirect":
            self.send_response(302)
            self.send_header("Location", "http://weights.example/known.pth")
            self.end_headers()
        elif _Flaky.asked <= _Flaky.breaks:
            self.send_response(200)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT[:300])
        else:
            super().do_GET()


@pytest.fixture
def flaky(server: tuple[str, Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(transfer, "WAIT", 0.01)
    monkeypatch.setattr(_Flaky, "asked", 0)
    http = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Flaky, directory=str(server[1])))
    threading.Thread(target=http.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{http.server_port}"
    http.shutdown()
    http.server_close()


def test_a_connection_that_breaks_is_tried_again(
    manifest: str, tmp_path: Path, flaky: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _renamed(manifest, tmp_path, f"{flaky}/known.pth")
    monkeypatch.setattr(_Flaky, "breaks", 2)
    assert download.fetch("known").read_bytes() == CONTENT
    assert _Flaky.asked == 3


def test_a_connection_that_always_breaks_leaves_nothing(
    manifest: str, tmp_path: Path, flaky: str, monkeypatch: pytest.MonkeyPatch, medsr_home: Path
) -> None:
    _renamed(manifest, tmp_path, f"{flaky}/known.pth")
    monkeypatch.setattr(_Flaky, "breaks", 99)
    with pytest.raises(WeightsError, match="medsr weights import"):
        download.fetch("known")
    assert _Flaky.asked == transfer.ATTEMPTS
    assert not [path for path in medsr_home.rglob("*") if path.is_file()]


class _Endless(SimpleHTTPRequestHandler):
    """Says nothing of the size, and does not end until nobody listens any more."""

    sent = 0

    def log_message(self, *_: object) -> None:
        """Nothing on the test's output."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        while _Endless.sent < 50_000_000:
            try:
                self.wfile.write(b"x" * 10_000)
            except OSError:
                return
            _Endless.sent += 10_000


def test_no_more_is_read_than_the_file_can_have(manifest: str, tmp_path: Path, medsr_home: Path) -> None:
    http = ThreadingHTTPServer(("127.0.0.1", 0), _Endless)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    _renamed(manifest, tmp_path, f"http://127.0.0.1:{http.server_port}/known.pth")
    with pytest.raises(WeightsError, match=f"longer than the {len(CONTENT)} bytes"):
        download.fetch("known")
    http.shutdown()
    http.server_close()
    assert _Endless.sent < 20_000_000  # what fits into the system's buffers
    assert not [path for path in medsr_home.rglob("*") if path.is_file()]


def test_what_a_killed_download_left_is_removed(manifest: str, medsr_home: Path) -> None:
    folder = weight_store.get("known").path.parent
    folder.mkdir(parents=True)
    (folder / ".known-abcd1234.pth").write_bytes(b"half")
    (folder / ".other-abcd1234.pth").write_bytes(b"not ours to judge")
    assert download.fetch("known").read_bytes() == CONTENT
    assert sorted(path.name for path in folder.glob(".*-*")) == [".other-abcd1234.pth"]


def test_a_redirect_away_from_https_is_refused(manifest: str, tmp_path: Path, flaky: str) -> None:
    _renamed(manifest, tmp_path, f"{flaky}/redirect")
    with pytest.raises(WeightsError, match="not https"):
        download.fetch("known")
    assert _Flaky.asked == 1


def test_two_processes_that_fetch_at_once_both_end_well(manifest: str, tmp_path: Path, medsr_home: Path) -> None:
    """Both files, each by two processes: one of them has its hash recorded, which no process may lose."""
    code = (
        "import sys, pathlib\nfrom medsr.networks import download, weight_store\n"
        "weight_store.resource_dir = lambda _: pathlib.Path(sys.argv[1])\n"
        "print(download.fetch(sys.argv[2]))"
    )
    call = [sys.executable, "-c", code, str(tmp_path / "resources")]
    running = [
        subprocess.Popen([*call, name], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for name in ("known", "unknown") * 2
    ]
    for process in running:
        out, problem = process.communicate(timeout=120)
        assert process.returncode == 0, problem
        assert Path(out.strip()).read_bytes() == CONTENT
    assert weight_store.get("unknown").sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert sorted(path.name for path in medsr_home.rglob("*.pth")) == ["known.pth", "unknown.pth"]
    assert not [path for path in medsr_home.rglob("*") if path.name.startswith((".", "tmp"))]


def test_a_taken_name_is_not_overwritten_in_silence(manifest: str, tmp_path: Path) -> None:
    for seed in (0, 1):
        torch.manual_seed(seed)
        net = Spec("rrdb", 2, 3, {"features": 8, "blocks": 1, "growth": 4}).build()
        torch.save(net.state_dict(), tmp_path / f"{seed}.pth")
    first, other = tmp_path / "0.pth", tmp_path / "1.pth"
    kept = download.import_weights(first, "mine")
    assert download.import_weights(first, "mine").sha256 == kept.sha256  # the same bytes again
    from typer.testing import CliRunner

    from medsr.cli.weights import app

    done = CliRunner().invoke(app, ["import", str(other), "--name", "mine"])
    assert isinstance(done.exception, UsageError)
    assert "--replace" in str(done.exception)
    with pytest.raises(UsageError, match="other weights of your own"):
        download.import_weights(other, "mine")
    assert weight_store.locate("mine").read_bytes() == first.read_bytes()
    with pytest.raises(UsageError, match="give another name"):
        download.import_weights(other, "known", replace=True)
    assert CliRunner().invoke(app, ["import", str(other), "--name", "mine", "--replace"]).exit_code == 0
    assert weight_store.locate("mine").read_bytes() == other.read_bytes()
