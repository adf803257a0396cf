"""A real archive for the time of a test: Orthanc with its DICOMweb plugin, on a free port of this machine."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

USER, PASSWORD = "radiology", "a password of enough letters"
_PLUGINS = ("/usr/share/orthanc/plugins/libOrthancDicomWeb.so", "/usr/lib/orthanc/libOrthancDicomWeb.so")


def program() -> str | None:
    """Where Orthanc is; it lies in a folder that is not on every account's path."""
    return shutil.which("Orthanc", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def plugin() -> str | None:
    return next((path for path in _PLUGINS if Path(path).exists()), None)


@dataclass
class Orthanc:
    """`base`: its own address; its archive speaks DICOMweb at `address`."""

    process: subprocess.Popen
    port: int
    storage: Path

    @property
    def base(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def address(self) -> str:
        return f"{self.base}/dicom-web"

    def http(self) -> httpx.Client:
        return httpx.Client(base_url=self.base, auth=(USER, PASSWORD), timeout=20)

    def upload(self, files: Sequence[Path]) -> None:
        """By Orthanc's own door, not by DICOMweb."""
        with self.http() as http:
            for file in files:
                http.post("/instances", content=file.read_bytes()).raise_for_status()

    def files(self, series: str) -> dict[str, bytes]:
        """The files of a series as Orthanc stores them, by SOP instance UID."""
        with self.http() as http:
            query = {"Level": "Instance", "Query": {"SeriesInstanceUID": series}}
            found = http.post("/tools/find", json=query).json()
            tags = {name: http.get(f"/instances/{name}/simplified-tags").json() for name in found}
            return {tags[name]["SOPInstanceUID"]: http.get(f"/instances/{name}/file").content for name in found}

    def series(self) -> list[str]:
        """The UIDs of all series."""
        with self.http() as http:
            listed = [http.get(f"/series/{name}").json() for name in http.get("/series").json()]
        return [entry["MainDicomTags"]["SeriesInstanceUID"] for entry in listed]

    def empty(self) -> None:
        with self.http() as http:
            for name in http.get("/studies").json():
                http.delete(f"/studies/{name}")


@contextmanager
def orthanc(folder: Path) -> Iterator[Orthanc]:
    """An archive with one user, below `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = {
        "Name": "here",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "Plugins": [plugin()],
        "HttpPort": port,
        "HttpBindAddresses": ["127.0.0.1"],
        "RemoteAccessAllowed": False,
        "DicomServerEnabled": False,
        "MaximumStorageCacheSize": 0,  # a file that a test takes away is gone
        "AuthenticationEnabled": True,
        "RegisteredUsers": {USER: PASSWORD},
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/", "EnableWado": False},
    }
    (folder / "orthanc.json").write_text(json.dumps(config))
    with (folder / "orthanc.log").open("wb") as log:
        process = subprocess.Popen(
            [str(program()), str(folder / "orthanc.json")], stdout=log, stderr=log, cwd=folder, start_new_session=True
        )
    here = Orthanc(process, port, folder / "storage")
    try:
        _wait(here, folder / "orthanc.log")
        yield here
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()


def _wait(here: Orthanc, log: Path) -> None:
    latest = time.monotonic() + 60
    while True:
        assert here.process.poll() is None, log.read_text(errors="replace")
        assert time.monotonic() < latest, "Orthanc did not come up"
        try:
            with here.http() as http:
                if http.get("/system").is_success:
                    return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
