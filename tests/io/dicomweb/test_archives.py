"""Archives that fail, lie or lead elsewhere: nothing wrong is taken, nothing is sent twice, no secret goes astray."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from medsr.core.errors import ArchiveError, MedsrError
from medsr.io.dicomweb import client as client_module
from medsr.io.dicomweb import fetching, sending, session
from medsr.io.dicomweb.client import Client
from medsr.io.dicomweb.credentials import Credentials
from medsr.io.dicomweb.fetching import content_of, fetch_series
from medsr.io.dicomweb.listing import choose, series_of
from medsr.io.dicomweb.sending import check_target, send_files
from tests.helpers.dicom import axial_slice
from tests.helpers.dicomweb_here import BOUNDARY, Answer, Archive, answering, encoded, multipart, values

STUDY, SERIES = "1.2.826.77", "1.2.826.78"
KIND = f"multipart/related; boundary={BOUNDARY}"
WADO, STOW = ("GET", f"/series/{SERIES}"), ("POST", "/studies")


def image(number: int, **tags: object) -> bytes:
    dataset = axial_slice(3 * number, 100 + number, number, StudyInstanceUID=STUDY, SeriesInstanceUID=SERIES)
    for tag, value in {"SOPInstanceUID": f"{SERIES}.{number}", **tags}.items():
        setattr(dataset, tag, value)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return encoded(dataset)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (session, fetching):
        monkeypatch.setattr(module, "BACKOFF", 0.001)


@pytest.fixture
def archive() -> Iterator[Archive]:
    with answering(Archive(STUDY, SERIES, [image(number) for number in (3, 1, 2)])) as here:
        yield here


@pytest.fixture
def client(archive: Archive) -> Client:
    return Client(archive.address, Credentials(token="secret"))


def fetch(client: Client, folder: Path) -> list[bytes]:
    fetch_series(client, content_of(client, STUDY, SERIES), folder)
    return [path.read_bytes() for path in sorted(folder.iterdir())]


def files_in(folder: Path, files: list[bytes]) -> list[Path]:
    folder.mkdir()
    paths = [folder / f"{number}.dcm" for number in range(len(files))]
    for path, file in zip(paths, files, strict=True):
        path.write_bytes(file)
    return paths


def test_files_arrive_as_they_are_in_order_and_for_this_user_alone(
    archive: Archive, client: Client, tmp_path: Path
) -> None:
    counts: list[int] = []
    fetch_series(client, content_of(client, STUDY, SERIES), tmp_path / "a", counts.append)
    assert [path.name for path in sorted((tmp_path / "a").iterdir())] == ["0001.dcm", "0002.dcm", "0003.dcm"]
    assert [path.read_bytes() for path in sorted((tmp_path / "a").iterdir())] == [image(1), image(2), image(3)]
    assert counts == [1, 2, 3]
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o700
    assert {request.headers["Authorization"] for request in archive.requests} == {"Bearer secret"}
    assert {request.headers["Host"] for request in archive.requests} == {f"127.0.0.1:{archive.port}"}


@pytest.mark.parametrize("declared", [-1, None], ids=["whole", "to the end of the connection"])
def test_a_connection_that_breaks_is_tried_again(
    archive: Archive, client: Client, tmp_path: Path, declared: int | None
) -> None:
    whole = multipart(archive.files)
    cut = whole[: len(whole) - 300]
    length = len(whole) if declared == -1 else None
    archive.answers[WADO] = lambda count: Answer(body=cut, kind=KIND, declared=length) if count < 3 else None
    assert fetch(client, tmp_path / "a") == [image(1), image(2), image(3)]
    assert archive.count(*WADO) == 3


def test_a_connection_that_always_breaks_is_an_error(archive: Archive, client: Client, tmp_path: Path) -> None:
    archive.answers[WADO] = lambda _: Answer(body=multipart(archive.files)[:-300], kind=KIND, declared=None)
    with pytest.raises(ArchiveError, match="ends in the middle"):
        fetch(client, tmp_path / "a")
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(("status", "tries"), [(503, 4), (502, 4), (401, 1), (403, 1), (404, 1), (500, 1)])
def test_only_what_may_pass_is_tried_again(
    archive: Archive, client: Client, tmp_path: Path, status: int, tries: int
) -> None:
    archive.answers[WADO] = lambda _: Answer(status, b"<html>secret of the server</html>", "text/html")
    with pytest.raises(ArchiveError) as raised:
        fetch(client, tmp_path / "a")
    assert archive.count(*WADO) == tries
    assert "secret" not in str(raised.value)


def test_a_list_that_breaks_off_is_asked_for_again(archive: Archive, client: Client) -> None:
    body = json.dumps([values(T0020000E=SERIES)]).encode()
    broken = Answer(body=body[:20], declared=len(body))
    archive.answers["GET", "/series"] = lambda count: broken if count < 3 else Answer(body=body)
    assert [series.uid for series in series_of(client, STUDY)] == [SERIES]
    archive.answers["GET", "/series"] = lambda _: broken
    with pytest.raises(ArchiveError, match="the connection broke"):
        series_of(client, STUDY)


def test_what_an_archive_warns_of_is_not_printed_as_it_comes(
    archive: Archive, client: Client, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # as outside of tests
    body = json.dumps([values(T0020000E=SERIES)]).encode()
    archive.answers["GET", "/series"] = lambda _: Answer(body=body, headers={"Warning": "299 a \x1b[2J"})
    series_of(client, STUDY)
    assert capsys.readouterr() == ("", "")


def test_a_busy_archive_is_waited_for(archive: Archive, client: Client, tmp_path: Path) -> None:
    busy = Answer(503, headers={"Retry-After": "3600"})
    archive.answers[WADO] = lambda count: busy if count < 3 else None
    assert len(fetch(client, tmp_path / "a")) == 3


def test_half_a_series_is_refused(archive: Archive, client: Client, tmp_path: Path) -> None:
    archive.answers[WADO] = lambda _: Answer(body=multipart(archive.files[:2]), kind=KIND)
    with pytest.raises(ArchiveError, match="only 2 of 3 images arrived"):
        fetch(client, tmp_path / "a")


def test_a_series_that_is_still_arriving_is_refused(archive: Archive, client: Client, tmp_path: Path) -> None:
    def later(_: int) -> Answer:
        files = list(archive.files)
        archive.files = [*files, image(4)]
        return Answer(body=multipart(files), kind=KIND)

    archive.answers[WADO] = later
    with pytest.raises(ArchiveError, match="still arriving"):
        fetch(client, tmp_path / "a")


WRONG = {
    "another study": (image(2, StudyInstanceUID="1.2.3"), "another study or series"),
    "another series": (image(2, SeriesInstanceUID="1.2.3"), "another study or series"),
    "not listed": (image(9), "does not list"),
    "twice": (image(1), "does not list, or one twice"),
    "a path as its name": (image(2, SOPInstanceUID="../../etc/passwd"), "does not list"),
    "no DICOM": (b"GIF89a" * 100, "not a DICOM file"),
    "nothing but a mark": (b"\0" * 128 + b"DICM" + b"\0" * 200, "DICOM"),
    "elements without end": (image(2)[:400] + b"\x08\0\x18\0UI\0\0" * 200_000, "sent a"),
    "a zip": (b"PK\3\4" * 100, "not a DICOM file"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_was_not_asked_for_is_refused(archive: Archive, client: Client, tmp_path: Path, case: str) -> None:
    wrong, words = WRONG[case]
    archive.answers[WADO] = lambda _: Answer(body=multipart([image(1), wrong, image(3)]), kind=KIND)
    with pytest.raises(ArchiveError, match=words) as raised:
        fetch(client, tmp_path / "a")
    assert str(raised.value).startswith(archive.address)
    assert "passwd" not in str(raised.value)


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_changed_answers_give_a_series_or_an_error_of_ours(
    archive: Archive, client: Client, tmp_path: Path, seed: int
) -> None:
    random = Random(seed)
    series, files = multipart(archive.files), sorted(archive.files)
    rows = json.dumps([values(T00080018=f"{SERIES}.{number}") for number in (1, 2, 3)]).encode()
    for number in range(40 if seed == 0 else 2000):
        body, listed = (mutated(part, random) if random.random() < 0.6 else part for part in (series, rows))
        archive.answers[WADO] = lambda _, body=body: Answer(body=body, kind=KIND)
        archive.answers["GET", "/instances"] = lambda _, listed=listed: Answer(body=listed)
        with suppress(ArchiveError):
            taken = fetch(client, tmp_path / str(number))
            assert len(taken) == 3
            assert body != series or sorted(taken) == files


def mutated(content: bytes, random: Random) -> bytes:
    """Some bytes changed, left out, doubled or put in."""
    changed = bytearray(content)
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(changed) or 1)
        piece = random.choice(
            (b"", bytes(changed[at : at + random.randint(1, 60)]), random.randbytes(3), b"\r\n--between")
        )
        changed[at : at + random.choice((0, 1, 3, 200))] = piece
    return bytes(changed)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(body=b"<html>Please log in</html>", kind="text/html"),
        Answer(body=b"[]"),
        Answer(body=b"no parts", kind=KIND),
        Answer(body=b"no boundary", kind="multipart/related"),
        Answer(body=multipart([image(1)]), kind='multipart/related; boundary=""'),
        Answer(body=b""),
    ],
)
def test_an_answer_that_is_not_a_series_is_an_error(
    archive: Archive, client: Client, tmp_path: Path, answer: Answer
) -> None:
    archive.answers[WADO] = lambda _: answer
    with pytest.raises(ArchiveError):
        fetch(client, tmp_path / "a")


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b'{"a": 1}',
        b"[1, 2]",
        b'[{"0020000E": 5}]',
        b'[{"0020000E": {"Value": 5}}]',
        b'[{"0020000E": {"Value": [{"a": 1}]}}]',
        b"[" * 100_000,
        b'"text"',
        b"null",
        b"\xff\xfe",
        json.dumps([values(T0020000E="../../x")]).encode(),
        json.dumps([values(T0020000E="1.2?x=1")]).encode(),
    ],
)
def test_a_list_that_is_not_one_is_an_error(archive: Archive, client: Client, body: bytes) -> None:
    archive.answers["GET", "/series"] = lambda _: Answer(body=body)
    with pytest.raises(ArchiveError):
        series_of(client, STUDY)


def test_free_text_of_a_list_is_one_line_and_terms_are_terms(archive: Archive, client: Client) -> None:
    row = values(T0020000E=SERIES, T00080060="Doe^Jane", T0008103E="T1\r\nof\x1b[2J", T00200011="many")
    archive.answers["GET", "/series"] = lambda count: Answer(body=json.dumps([row] if count == 1 else []).encode())
    [series] = series_of(client, STUDY)
    assert (series.modality, series.description, series.words) == ("", "T1 of\x1b[2J", "?")


def test_pages_are_put_together_and_an_archive_that_ignores_offset_is_no_loop(archive: Archive, client: Client) -> None:
    rows = [values(T0020000E=f"1.2.{n}", T00080060="MR", T00200011=9 - n) for n in range(5)]
    archive.answers["GET", "/series"] = lambda count: Answer(
        body=json.dumps(rows[2 * count - 2 : 2 * count] or rows[:2]).encode()
    )
    assert [series.uid for series in series_of(client, STUDY)] == [f"1.2.{n}" for n in (4, 3, 2, 1, 0)]


def test_reports_are_not_series_of_images(archive: Archive, client: Client) -> None:
    rows = [values(T0020000E="1.2.3", T00080060="SR"), values(T0020000E=SERIES, T00080060="CT")]
    archive.answers["GET", "/series"] = lambda _: Answer(body=json.dumps(rows).encode())
    assert [series.uid for series in choose(client, STUDY, [])] == [SERIES]


def test_answers_that_are_too_large_end_early(
    archive: Archive, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "MOST_BYTES", 1500)
    with pytest.raises(ArchiveError, match="answers with more than"):
        fetch(client, tmp_path / "a")
    monkeypatch.setattr(fetching, "MOST_BYTES", 32_000_000)
    monkeypatch.setattr(client_module, "LARGEST_FILE", 3_000_000)
    archive.answers[WADO] = lambda _: Answer(body=multipart([image(1), image(2) + bytes(5_000_000)]), kind=KIND)
    with pytest.raises(ArchiveError, match="sends a file of more than 3 MB"):
        fetch(client, tmp_path / "b")
    monkeypatch.setattr(session, "LARGEST_LIST", 20)
    with pytest.raises(ArchiveError, match="answers with more than"):
        series_of(client, STUDY)


def test_packed_answers_are_refused(archive: Archive, client: Client) -> None:
    archive.answers["GET", "/series"] = lambda _: Answer(body=b"\x1f\x8b", headers={"Content-Encoding": "gzip"})
    with pytest.raises(ArchiveError, match="packed"):
        series_of(client, STUDY)
    assert archive.requests[0].headers["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_to_another_host_gets_neither_token_nor_images(
    archive: Archive, client: Client, tmp_path: Path, status: int
) -> None:
    with answering(Archive(STUDY, SERIES, archive.files)) as other:
        there = other.address.replace("127.0.0.1", "localhost")
        archive.answers["GET", "/series"] = lambda _: Answer(status, headers={"Location": f"{there}/series"})
        archive.answers[STOW] = lambda _: Answer(status, headers={"Location": f"{there}/studies"})
        with pytest.raises(ArchiveError, match=f"leads to http://localhost:{other.port}"):
            series_of(client, STUDY)
        with pytest.raises(ArchiveError, match="0 of 1 images arrived"):
            send_files(client, files_in(tmp_path / "a", [image(1)]))
        assert other.requests == []


def test_a_redirect_on_the_same_host_is_followed(archive: Archive, client: Client, tmp_path: Path) -> None:
    archive.answers["GET", "/series"] = lambda _: Answer(308, headers={"Location": f"/new/studies/{STUDY}/series/"})
    archive.answers["GET", "/series/"] = lambda _: Answer(body=json.dumps([values(T0020000E=SERIES)]).encode())
    archive.answers[STOW] = lambda _: Answer(307, headers={"Location": "/new/studies/"})
    assert [series.uid for series in series_of(client, STUDY)] == [SERIES]
    assert send_files(client, files_in(tmp_path / "a", [image(1)])).images == 1
    archive.answers[STOW] = lambda _: Answer(302, headers={"Location": f"/web/studies/{STUDY}/series"})
    with pytest.raises(ArchiveError, match="takes no images"):  # 302 makes a question of it, whose answer is a 200
        send_files(client, files_in(tmp_path / "b", [image(1)]))


def test_a_redirect_without_end_ends(archive: Archive, client: Client) -> None:
    archive.answers["GET", "/series"] = lambda _: Answer(302, headers={"Location": f"/web/studies/{STUDY}/series"})
    with pytest.raises(ArchiveError):
        series_of(client, STUDY)
    assert len(archive.requests) < 10


def test_no_password_of_a_netrc_is_sent(archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    series_of(Client(archive.address, Credentials()), STUDY)
    assert all("Authorization" not in request.headers for request in archive.requests)


def test_files_are_sent_as_they_are(
    archive: Archive, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "LARGEST_REQUEST", 2 * len(image(1)))
    paths = files_in(tmp_path / "a", [image(1), image(2), image(3)])
    counts: list[int] = []
    assert send_files(client, paths, counts.append).images == 3
    assert archive.stored == {f"{SERIES}.{n}": image(n) for n in (1, 2, 3)}
    assert counts == [2, 3]
    assert all("Content-Length" in request.headers for request in archive.requests)


def refusing(archive: Archive, status: int, code: int, refused: int) -> None:
    """Let the archive take all but the first `refused` of what it is sent."""

    def answer(_: int) -> Answer:
        uids = archive.take(archive.requests[-1])
        for uid in uids[:refused]:
            del archive.stored[uid]
        failed = [values(T00081155=uid, T00081197=code) for uid in uids[:refused]]
        stored = [values(T00081155=uid) for uid in uids[refused:]]
        body = {"00081198": {"vr": "SQ", "Value": failed}, "00081199": {"vr": "SQ", "Value": stored}}
        return Answer(status, json.dumps(body).encode(), "application/dicom+json; charset=utf-8")

    archive.answers[STOW] = answer


def test_images_that_are_refused_are_counted(archive: Archive, client: Client, tmp_path: Path) -> None:
    paths = files_in(tmp_path / "a", [image(1), image(2), image(3)])
    refusing(archive, 202, 0xA700, 2)
    with pytest.raises(ArchiveError, match=r"1 of 3 images arrived.*\(the archive has no room\)"):
        send_files(client, paths)
    refusing(archive, 409, 0x0122, 3)
    with pytest.raises(ArchiveError, match=r"0 of 3 images arrived.*does not take this kind of image"):
        send_files(client, paths)
    refusing(archive, 200, 0xA901, 1)  # a success that is none
    with pytest.raises(ArchiveError, match="2 of 3 images arrived"):
        send_files(client, paths)
    archive.answers.clear()
    assert send_files(client, paths).images == 3
    assert len(archive.stored) == 3


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b"[]", b'{"00081199": {"Value": [{"00081155": 4}]}}'])
def test_an_archive_that_says_nothing_of_the_images_is_asked(
    archive: Archive, client: Client, tmp_path: Path, body: bytes
) -> None:
    paths = files_in(tmp_path / "a", [image(11), image(12)])
    archive.series = "1.2.826.79"  # `stored` alone is listed

    def quiet(_: int) -> Answer:
        archive.take(archive.requests[-1])
        return Answer(body=body, kind="text/plain")

    archive.answers[STOW] = quiet
    assert send_files(client, paths).images == 2
    archive.answers[STOW] = lambda _: Answer(body=body, kind="text/plain")
    archive.stored.popitem()
    with pytest.raises(ArchiveError, match="1 of 2 images arrived"):
        send_files(client, paths)


def test_an_archive_that_dies_in_the_middle_of_sending_says_how_many_it_has(
    archive: Archive, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "LARGEST_REQUEST", 1)
    paths = files_in(tmp_path / "a", [image(1), image(2), image(3)])
    archive.answers[STOW] = lambda count: Answer(500) if count > 1 else None
    with pytest.raises(ArchiveError, match="1 of 3 images arrived"):
        send_files(client, paths)
    archive.answers[STOW] = lambda count: Answer(503) if count % 2 else None
    assert send_files(client, paths).images == 3
    assert len(archive.stored) == 3


def test_a_target_that_refuses_the_token_is_known_before_the_work(archive: Archive, client: Client) -> None:
    check_target(client)
    archive.answers["GET", "/studies"] = lambda _: Answer(403)
    check_target(client)  # it may take images all the same
    archive.answers["GET", "/studies"] = lambda _: Answer(401)
    with pytest.raises(ArchiveError, match="does not accept the token"):
        check_target(client)
    with pytest.raises(ArchiveError, match="cannot be reached"):
        check_target(Client("http://127.0.0.1:1/web", Credentials()))


def test_an_archive_that_does_not_answer_is_an_error(
    archive: Archive, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    release = threading.Event()
    archive.answers["GET", "/series"] = lambda _: release.wait(20) and None
    monkeypatch.setattr(client, "_timeout", (0.2, 0.2))
    try:
        with pytest.raises(ArchiveError, match=r"does not answer|cannot be reached"):
            series_of(client, STUDY)
    finally:
        release.set()


def test_the_words_for_an_unknown_host_name_no_secret() -> None:
    with pytest.raises(ArchiveError) as raised, client_module.asking("https://a.example", "x"):
        raise ValueError("secret")
    assert "secret" not in str(raised.value)


def test_a_disk_that_fills_up_is_told_in_one_line_without_the_name_of_the_folder(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", str(tmp_path))

    content = content_of(client, STUDY, SERIES)
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(MedsrError, match=r"No space left on device.*set TMPDIR") as caught:
        fetch_series(client, content, tmp_path / "series")
    assert str(tmp_path) not in str(caught.value)
