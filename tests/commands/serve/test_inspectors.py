"""Uploads that take long to inspect cost their sender alone."""

from __future__ import annotations

import asyncio
import gzip
import threading
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from medsr.commands.serve.inspectors import Inspectors
from medsr.commands.serve.quota import BusyError
from medsr.commands.serve.settings import Limits
from medsr.commands.serve.store import Store
from medsr.core.errors import MedsrError
from medsr.core.types import OnProgress
from tests.helpers.server import Server


def sleep(seconds: float, on_progress: OnProgress) -> float:
    time.sleep(seconds)
    return seconds


async def timed(inspectors: Inspectors, sender: str, seconds: float) -> float:
    began = time.monotonic()
    assert await inspectors.do(sender, sleep, seconds) == seconds
    return time.monotonic() - began


@pytest.mark.slow
def test_many_slow_ones_of_many_senders_delay_nobody_else() -> None:
    """Eight files that take for ever, of four senders: quick ones of another, and of one of the four, come through."""

    async def main() -> tuple[float, float, list[BaseException | float]]:
        inspectors = Inspectors(None, 60, patience=0.5)
        slow = [asyncio.ensure_future(inspectors.do(f"s{n % 4}", sleep, 50)) for n in range(8)]
        await asyncio.sleep(1)
        other = await timed(inspectors, "other", 0.01)
        same = await timed(inspectors, "s0", 0.01)
        for task in slow:
            task.cancel()
        ended = await asyncio.gather(*slow, return_exceptions=True)
        inspectors.close()
        return other, same, ended

    other, same, ended = asyncio.run(main())
    assert other < 20
    assert same < 20
    assert {type(outcome) for outcome in ended} <= {asyncio.CancelledError, BusyError}


@pytest.mark.slow
def test_what_takes_long_is_inspected_to_its_end_where_nobody_waits() -> None:
    async def main() -> float:
        inspectors = Inspectors(None, 60, patience=0.3)
        try:
            return await timed(inspectors, "one", 2)
        finally:
            inspectors.close()

    assert asyncio.run(main()) < 30


@pytest.mark.slow
def test_an_inspection_has_its_time_and_its_process_is_ended() -> None:
    async def main() -> None:
        inspectors = Inspectors(None, 4, patience=0.3)
        try:
            with pytest.raises(MedsrError, match="not done after 4 seconds, the most this server gives"):
                await inspectors.do("one", sleep, 60)
            assert await inspectors.do("one", sleep, 0.01) == 0.01
        finally:
            inspectors.close()

    asyncio.run(main())


def slow_file(path: Path) -> Path:
    """A scan of 40 million voxels in 40 kB: it takes seconds to read."""
    header = nib.Nifti1Header()
    header.set_data_shape((400, 400, 250))
    header.set_data_dtype(np.uint8)
    header["magic"], header["vox_offset"] = b"n+1", 352
    path.write_bytes(gzip.compress(header.binaryblock + bytes(4) + bytes(400 * 400 * 250)))
    return path


@pytest.mark.slow
def test_a_slow_upload_blocks_no_other_users(server: Server, eye: Path, tmp_path: Path) -> None:
    slow, anna, berta = slow_file(tmp_path / "slow.nii.gz"), server.user(), server.user()
    anna.file(eye)
    ended: list[float] = []

    def send() -> None:
        anna.upload(slow)
        ended.append(time.monotonic())

    sending = threading.Thread(target=send)
    sending.start()
    time.sleep(0.3)
    began = time.monotonic()
    assert berta.upload(eye).status_code == 201
    first = time.monotonic()
    assert not ended or first < ended[0], "the other's uploads were not slow"
    assert first - began < 20
    sending.join()
    assert anna.upload(eye).status_code == 201
    anna.http.delete("/api/session")


def test_a_user_has_limits_of_bytes_and_of_uploads_on_their_way(tmp_path: Path) -> None:
    store = Store(tmp_path, Limits(stored=3_000_000, uploads=2), queue=None)  # type: ignore[arg-type]
    anna, berta = store.new_user(), store.new_user()
    folder, room = store.begin_upload(anna, 2_000_000)
    assert room == 3_000_000
    (folder / "upload").write_bytes(bytes(2_000_000))
    wrong = "your files and results would take more than 3 MB here; forget some first"
    with pytest.raises(BusyError, match=wrong):
        store.begin_upload(anna, 2_000_000)
    with pytest.raises(BusyError, match=wrong):  # its size was not said before
        anna.quota.check_left(1_000_001, store.begin_upload(anna, 0)[1])
    store.begin_upload(berta, 2_000_000)
    with store.on_its_way(anna), store.on_its_way(anna):
        with pytest.raises(BusyError, match="busy: 2 of your uploads are on their way; wait for one"):
            store.on_its_way(anna).__enter__()
        with store.on_its_way(berta):
            pass
    with store.on_its_way(anna):
        pass
    store.close()
