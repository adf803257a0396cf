"""The page in a real browser: what an analyst shows a radiologist."""

from __future__ import annotations

import gzip
import json
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import nibabel as nib
import numpy as np
import pytest

import medsr
from medsr.io.images import image as image_io
from tests.helpers.dicom import slice_of
from tests.helpers.images import write_png
from tests.helpers.server import TOKEN, Server, gone, serving

sync_api = pytest.importorskip("playwright.sync_api")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ["--no-sandbox", "--disable-background-networking", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
LAPTOP, TABLET = {"width": 1366, "height": 768}, {"width": 820, "height": 1180}
SECONDS = 60


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium without a window; the tests are skipped, and say so, where there is none."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip("needs a browser: install chromium")
    with sync_api.sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=path, args=FLAGS)


@contextmanager
def visit(browser: Any, server: Server, **options: Any) -> Iterator[Any]:
    """A page in a browser session of its own; it must ask no other host, and find no fault with itself."""
    context = browser.new_context(**({"viewport": LAPTOP} | options))
    page = context.new_page()
    wrong: list[str] = []
    own = urlsplit(server.base).netloc

    def asked(request: Any) -> None:
        if urlsplit(request.url).scheme not in ("data", "blob") and urlsplit(request.url).netloc != own:
            wrong.append(request.url)

    page.on("request", asked)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.faults = wrong
    page.goto(server.address)
    sync_api.expect(page.locator("#image-model option")).not_to_have_count(0)
    yield page
    context.close()
    unexpected = [one for one in wrong if "Failed to load resource" not in one]
    assert not unexpected, unexpected


COLOUR_AT = "(c, [dx, dy]) => Array.from(c.getContext('2d').getImageData(c.width * dx, c.height * dy, 1, 1).data)"


def says(page: Any, text: str, place: str = "#status") -> None:
    """Wait until the page says so."""
    sync_api.expect(page.locator(place)).to_contain_text(text, timeout=SECONDS * 1000)


def choose(page: Any, path: Path) -> None:
    page.set_input_files("#file", path)
    says(page, f"{path.name} is ready")


def run(page: Any, kind: str) -> None:
    page.click(f"#{kind}-form button.main")
    says(page, "Done.")


def views(page: Any) -> list[dict[str, float]]:
    """What each panel shows, once all are drawn: the page says "Done." before the browser draws its next frame."""
    sync_api.expect(page.locator("figure.panel:not([data-view])")).to_have_count(0, timeout=SECONDS * 1000)
    return [json.loads(panel.get_attribute("data-view")) for panel in page.locator("figure.panel").all()]


def until(true: Callable[[], bool]) -> None:
    latest = time.monotonic() + 10
    while not true() and time.monotonic() < latest:
        time.sleep(0.05)
    assert true()


def downloaded(page: Any, name: str) -> bytes:
    with page.expect_download() as download:
        page.click(f"text=Download {name}")
    assert download.value.suggested_filename == name
    return Path(download.value.path()).read_bytes()


@pytest.mark.slow
def test_an_image_from_choice_to_download(
    browser: Any, server: Server, eye: Path, eye_model: Path, tmp_path: Path
) -> None:
    with visit(browser, server) as page:
        choose(page, eye)
        says(page, "96 × 80 pixels, colour, 8 bits", "#facts")
        run(page, "image")
        shown = [one.input_value() for one in page.locator("figure.panel select").all()]
        assert shown == ["Input", "bicubic", "eye-x2"]
        for name, model in (("eye-x2", eye_model), ("bicubic", "bicubic")):
            medsr.upscale(eye, tmp_path, model=model, engine="torch")
            assert downloaded(page, f"eye_{name}.png") == (tmp_path / "eye.png").read_bytes()


@pytest.mark.slow
def test_the_page_runs_the_model_it_names_and_keeps_a_pick_for_one_kind_of_image(
    browser: Any, whole_fundus: np.ndarray, tmp_path: Path
) -> None:
    pixels = whole_fundus[::3, ::3]
    eye, photo = write_png(tmp_path / "eye.png", pixels), write_png(tmp_path / "photo.png", pixels[:, :, ::-1])
    rays = [write_png(tmp_path / f"ray{n}.png", pixels[n:, :, :1]) for n in (0, 1)]
    scan = tmp_path / "ct.nii.gz"
    nib.Nifti1Image(np.full((8, 8, 4), -1000, np.int16), np.diag([1, 1, 2, 1])).to_filename(scan)
    with serving(tmp_path / "served", "--engine", "torch") as bundled, visit(browser, bundled) as page:
        chosen = page.locator("#image-model")
        for path, model in ((rays[0], "medsr-cxr-x2"), (photo, "bicubic"), (eye, "medsr-retina-x2")):
            choose(page, path)
            assert chosen.input_value() == model
            says(page, model if model != "bicubic" else "bicubic: no bundled model was made", "#facts")
        page.click("summary")
        page.fill("#outscale", "3")
        assert chosen.input_value() == "medsr-retina-x4"
        says(page, "medsr-retina-x4: ", "#facts")
        run(page, "image")
        medsr.upscale(eye, tmp_path / "finer", outscale=3, engine="torch")
        assert downloaded(page, "eye_medsr-retina-x4.png") == (tmp_path / "finer/eye.png").read_bytes()
        choose(page, rays[0])
        page.select_option("#image-model", "lanczos")
        page.fill("#outscale", "2")
        says(page, "you picked lanczos; suggested is medsr-cxr-x2: ", "#facts")
        assert chosen.input_value() == "lanczos"
        choose(page, rays[1])
        assert chosen.input_value() == "lanczos"
        choose(page, photo)
        assert chosen.input_value() == "bicubic"
        run(page, "image")
        assert page.locator("#results-list .result strong").all_text_contents() == ["bicubic"]
        medsr.upscale(photo, tmp_path / "finer", engine="torch")
        assert downloaded(page, "photo_bicubic.png") == (tmp_path / "finer/photo.png").read_bytes()
        choose(page, scan)
        assert page.locator("#volume-model").input_value() == "cubic"


@pytest.mark.slow
def test_panels_zoom_together_and_tell_the_stored_values(
    browser: Any, server: Server, eye: Path, tmp_path: Path
) -> None:
    with visit(browser, server) as page:
        choose(page, eye)
        run(page, "image")
        box = page.locator("figure.panel canvas").nth(1).bounding_box()
        page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.4 * box["height"])
        before = views(page)
        for _ in range(6):
            page.mouse.wheel(0, -100)
        until(lambda: views(page)[0]["zoom"] > 2.5 * before[0]["zoom"])
        one, two, three = views(page)
        assert one == two == three != before[0]
        page.mouse.down()
        page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.5 * box["height"])
        page.mouse.up()
        until(lambda: views(page)[0]["x"] != one["x"])
        one, two, three = views(page)
        assert one == two == three
        (tmp_path / "result.png").write_bytes(downloaded(page, "eye_eye-x2.png"))
        page.mouse.move(box["x"] + 0.5 * box["width"] + 1, box["y"] + 0.5 * box["height"] + 1)
        stored = {0: image_io.read(eye).pixels, 2: image_io.read(tmp_path / "result.png").pixels}
        for index, pixels in stored.items():
            place, *values = page.locator("figure.panel output").nth(index).text_content().replace(",", " ").split(")")
            x, y = map(int, place.strip("(").split())
            assert list(map(int, values[0].split())) == pixels[y, x].tolist()
            # What is painted there is that value too.
            canvas = page.locator("figure.panel canvas").nth(index)
            view, size = views(page)[index], canvas.bounding_box()
            ratio = pixels.shape[1] / 96
            column = int((view["x"] + (int(size["width"] * 0.25) + 0.5 - size["width"] / 2) / view["zoom"]) * ratio)
            row = int((view["y"] + (int(size["height"] * 0.75) + 0.5 - size["height"] / 2) / view["zoom"]) * ratio)
            near = pixels[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2].reshape(-1, 3).tolist()
            # Painted soon after, not at once.
            until(lambda at=canvas, near=near: at.evaluate(COLOUR_AT, [0.25, 0.75])[:3] in near)


@pytest.mark.slow
def test_grey_images_have_a_window_and_the_lowest_may_be_brightest(
    browser: Any, server: Server, real_data: Path
) -> None:
    [chest] = (real_data / "chest" / "dicom").glob("*.dcm")
    with visit(browser, server) as page:
        choose(page, chest)
        says(page, "white to black: 0 to 4095", "#facts")
        page.click("#window-full")
        pixels = image_io.read(chest).pixels[:, :, 0]
        middle = "c => c.getContext('2d').getImageData(c.width / 2, c.height / 2, 1, 1).data[0]"
        canvas = page.locator("figure.panel canvas").first
        until(lambda: page.input_value("#image-width") == "4095")
        around = pixels[1040:1088, 976:1024]
        assert abs(canvas.evaluate(middle) - 255 * (1 - around.mean() / 4095)) < 12
        page.fill("#image-level", str(float(around.min()) - 500))
        page.fill("#image-width", "10")
        until(lambda: canvas.evaluate(middle) == 0)


@pytest.mark.slow
def test_difference_divider_and_ground_truth(
    browser: Any, server: Server, eye: Path, fundus: np.ndarray, tmp_path: Path
) -> None:
    truth = write_png(tmp_path / "truth.png", fundus[:160, :192])
    with visit(browser, server) as page:
        choose(page, eye)
        page.click("summary")
        page.set_input_files("#truth", truth)
        page.select_option("#image-second", "lanczos")
        run(page, "image")
        assert page.locator(".result:has-text('PSNR')").count() == 3
        first = page.locator("figure.panel select").first
        options = first.locator("option").all_text_contents()
        assert {"Input", "Ground truth", "eye-x2 minus bicubic", "lanczos minus Ground truth"} <= set(options)
        first.select_option("eye-x2 minus bicubic")
        box = page.locator("figure.panel canvas").first.bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        until(lambda: "(" in page.locator("figure.panel output").nth(2).text_content())
        page.click("text=Before and after")
        assert page.locator("figure.panel").count() == 1
        page.locator("#divider").fill("20")
        label = page.locator("figure.panel canvas").get_attribute("aria-label")
        assert "over" in label


@pytest.mark.slow
def test_the_crosshair_is_at_the_same_millimetre(browser: Any, server: Server, brain: Path) -> None:
    with visit(browser, server) as page:
        choose(page, brain)
        run(page, "volume")
        scan = nib.load(brain)
        result = nib.Nifti1Image.from_bytes(gzip.decompress(downloaded(page, "brain_refiner.nii.gz")))
        rng = np.random.default_rng(0)
        for _ in range(4):
            index = [int(rng.integers(2, size - 2)) for size in scan.shape]
            mm = (scan.affine @ [*index, 1])[:3]
            for axis, value in zip("xyz", mm, strict=True):
                page.fill(f"#cross-{axis}", f"{value:.2f}")
                page.keyboard.press("Tab")
            voxel = tuple(np.floor(np.linalg.inv(result.affine) @ [*mm, 1] + 0.5 - 1e-3).astype(int)[:3])
            last = np.array(result.shape) - 1  # a place between two refined slices may be either's
            either = [np.minimum(np.add(voxel, step), last) for step in ((0, 0, 0), (0, 1, 0))]
            neighbours = {int(result.dataobj[tuple(one)]) for one in either}
            says(page, f"Input: value {int(scan.dataobj[tuple(index)])}", "#scan-value-0")
            assert int(page.text_content("#scan-value-1").split()[-1]) in neighbours
        # A click in one moves both.
        page.check("input[name=plane][value=sagittal]")
        box = page.locator("#scan-panels canvas").nth(1).bounding_box()
        page.mouse.click(box["x"] + 0.45 * box["width"], box["y"] + 0.4 * box["height"])
        until(lambda: page.input_value("#cross-z") != f"{mm[2]:g}")
        crossed = [float(page.input_value(f"#cross-{axis}")) for axis in "xyz"]
        voxel = np.rint(np.linalg.inv(scan.affine) @ [*crossed, 1]).astype(int)[:3]
        near = scan.dataobj[tuple(slice(max(v - 1, 0), v + 2) for v in voxel)]
        assert int(page.text_content("#scan-value-0").split()[-1]) in near


@pytest.mark.slow
def test_a_text_called_png_is_refused_in_words(browser: Any, server: Server, eye: Path, tmp_path: Path) -> None:
    (tmp_path / "letter.png").write_text("Dear colleague")
    with visit(browser, server) as page:
        page.set_input_files("#file", tmp_path / "letter.png")
        says(page, "letter.png: none of what medsr reads", "#message")
        choose(page, eye)  # and the next is taken as ever
        assert page.text_content("#message") == ""


def test_too_large_a_file_is_not_even_sent(browser: Any, server: Server, tmp_path: Path) -> None:
    with (tmp_path / "large.nii").open("wb") as stream:
        stream.truncate(2 << 30)
    with visit(browser, server) as page:
        sent: list[str] = []
        page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
        page.set_input_files("#file", tmp_path / "large.nii")
        says(page, "this server takes files of at most 512 MB", "#message")
        assert not sent


@pytest.fixture
def long_scan(tmp_path: Path) -> Path:
    """A scan that takes long enough to be stopped."""
    noise = np.random.default_rng(0).integers(0, 900, (100, 100, 60), np.int16)
    path = tmp_path / "long.nii.gz"
    nib.Nifti1Image(noise, np.diag([1, 1, 2, 1])).to_filename(path)
    return path


@pytest.mark.slow
def test_two_users_and_a_cancel(browser: Any, server: Server, eye: Path, long_scan: Path) -> None:
    with visit(browser, server) as anna, visit(browser, server) as berta:
        choose(anna, long_scan)
        anna.check("#uncertainty")
        anna.click("#volume-form button.main")
        says(anna, "%", "#work-label")
        choose(berta, eye)
        berta.click("#image-form button.main")
        says(berta, "your place is 1", "#work-label")
        assert anna.locator("#facts-name").text_content() == "long.nii.gz"
        anna.click("#cancel")
        says(anna, "Cancelled")
        says(berta, "Done.")
        assert anna.locator("#results").is_hidden()
        choose(anna, eye)
        run(anna, "image")


@pytest.mark.slow
def test_a_page_with_a_running_job_asks_before_it_is_left(browser: Any, server: Server, long_scan: Path) -> None:
    with visit(browser, server) as page:
        page.on("dialog", lambda dialog: dialog.dismiss())
        choose(page, long_scan)
        assert page.locator("#finer option").first.text_content() in page.locator("#facts-list").text_content()
        page.click("#volume-form button.main")
        says(page, "%", "#work-label")
        with page.expect_event("dialog") as dialog:
            page.evaluate("setTimeout(() => location.reload())")
        assert dialog.value.type == "beforeunload"
        assert page.locator("#work").is_visible()  # nothing is lost
        page.click("#cancel")
        says(page, "Cancelled")


@pytest.mark.slow
def test_a_restart_while_a_job_runs(browser: Any, eye_model: Path, long_scan: Path, eye: Path, tmp_path: Path) -> None:
    """The page says what happened, and Run sends the file again."""
    with serving(tmp_path / "store", "--engine", "torch") as first:
        port = str(urlsplit(first.base).port)
        with visit(browser, first) as page:
            choose(page, long_scan)
            page.check("#uncertainty")
            page.click("#volume-form button.main")
            says(page, "%", "#work-label")
            children = first.children
            first.stop(signal.SIGKILL)
            assert gone(children), "a job goes on without its server"
            says(page, "cannot be reached")
            with serving(tmp_path / "store", "--engine", "torch", "--port", port) as second:
                assert second.base == first.base
                says(page, "Press Run to send them again", "#message")
                page.select_option("#volume-model", "cubic")
                assert page.locator("#uncertainty").is_hidden()  # interpolation has none, and none is asked for
                run(page, "volume")
                assert len(list(second.folder.iterdir())) == 1


@pytest.mark.slow
def test_a_token_opens_the_server_and_nothing_else_does(browser: Any, guarded: Server) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(guarded.base)
    sync_api.expect(page.locator("#login")).to_be_visible()
    page.fill("#token", "wrong" * 5)
    page.keyboard.press("Enter")
    says(page, "not this server's token", "#login-error")
    page.fill("#token", TOKEN)
    page.keyboard.press("Enter")
    sync_api.expect(page.locator("#main")).to_be_visible()
    context.close()
    context = browser.new_context()
    page = context.new_page()
    page.goto(guarded.address)
    sync_api.expect(page.locator("#image-second option")).not_to_have_count(0)
    assert "token" not in page.url
    context.close()


@pytest.mark.slow
@pytest.mark.parametrize(("size", "scheme"), [(LAPTOP, "light"), (TABLET, "dark")], ids=["laptop", "tablet"])
def test_everybody_can_use_it(
    browser: Any, server: Server, eye: Path, brain: Path, size: dict[str, int], scheme: str
) -> None:
    """axe-core (WCAG 2.1 AA) finds nothing; nothing is wider than the screen; the notice is there.

    Each size and each colour scheme once: no colour depends on the size, no width on the colours.
    """
    from axe_playwright_python.sync_playwright import Axe

    def list_both() -> None:
        page.set_input_files("#file", [eye, brain])
        says(page, "2 images and scans", "#several-title")
        says(page, f"{brain.name} is ready")

    with visit(browser, server, viewport=size, color_scheme=scheme) as page:
        for step in (lambda: None, lambda: choose(page, eye), lambda: run(page, "image"), list_both):
            step()
            found = Axe().run(page)
            assert found.violations_count == 0, found.generate_report()
            assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
            sync_api.expect(page.locator(".notice")).to_be_visible()


@pytest.mark.slow
def test_the_keyboard_is_enough(browser: Any, server: Server, eye: Path) -> None:
    with visit(browser, server) as page:
        choose(page, eye)
        page.focus("#image-model")
        for _ in range(3):
            page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Run"
        page.keyboard.press("Enter")
        says(page, "Done.")
        page.focus("figure.panel select")
        page.keyboard.press("Tab")
        before = views(page)[0]
        page.keyboard.press("+")
        page.keyboard.press("ArrowRight")
        until(lambda: views(page)[0]["zoom"] > before["zoom"] and views(page)[0]["x"] > before["x"])
        page.keyboard.press("0")
        until(lambda: views(page)[0] == before)


def oblique(path: Path) -> Path:
    """A scan turned about two axes, every voxel of its own value."""
    i, j, k = np.indices((20, 14, 24))
    turn = np.array([[0.9, -0.3, 0.2], [0.35, 0.92, -0.15], [-0.14, 0.2, 0.97]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([1.5, 3.0, 1.5])
    affine[:3, 3] = (-20, -30, 5)
    nib.Nifti1Image((i * 700 + j * 31 + k * 3).astype(np.int16), affine).to_filename(path)
    return path


@pytest.mark.slow
def test_the_crosshair_of_an_oblique_scan_stays_where_it_was_put(browser: Any, server: Server, tmp_path: Path) -> None:
    path = oblique(tmp_path / "oblique.nii.gz")
    scan = nib.load(path)
    with visit(browser, server) as page:
        choose(page, path)
        box = page.locator("#scan-panels canvas").first.bounding_box()
        for place in (0.35, 0.4, 0.45, 0.6):
            before = page.input_value("#cross-x") + page.input_value("#cross-y")
            page.mouse.click(box["x"] + place * box["width"], box["y"] + 0.45 * box["height"])
            until(lambda before=before: page.input_value("#cross-x") + page.input_value("#cross-y") != before)
            crossed = [float(page.input_value(f"#cross-{axis}")) for axis in "xyz"]
            voxel = np.linalg.inv(scan.affine) @ [*crossed, 1]
            near = [
                np.clip(np.rint(voxel[:3] + step).astype(int), 0, np.array(scan.shape) - 1) for step in (-0.01, 0.01)
            ]
            told = int(page.text_content("#scan-value-0").split()[-1])
            assert told in [int(scan.dataobj[tuple(one)]) for one in near]
            # Clicked again at the same place, it does not wander.
            page.mouse.click(box["x"] + place * box["width"], box["y"] + 0.45 * box["height"])
            again = [float(page.input_value(f"#cross-{axis}")) for axis in "xyz"]
            np.testing.assert_allclose(again, crossed, atol=0.02)


@pytest.mark.slow
def test_what_was_chosen_last_is_what_is_run(browser: Any, server: Server, eye: Path, long_scan: Path) -> None:
    """A scan is on its way, slowly, when an image is chosen."""
    with visit(browser, server) as page:

        def delayed(route: Any) -> None:
            if "long" in route.request.headers.get("x-file-name", ""):
                time.sleep(1)
            route.continue_()

        page.route("**/api/files", delayed)
        page.set_input_files("#file", long_scan)
        choose(page, eye)
        time.sleep(1.5)
        assert page.text_content("#facts-name") == eye.name
        assert page.locator("#volume-form").is_hidden()
        run(page, "image")
        assert downloaded(page, "eye_eye-x2.png")
        page.faults.clear()


@pytest.mark.slow
def test_who_leaves_takes_their_images_along(browser: Any, server: Server, eye: Path, tmp_path: Path) -> None:
    mine = tmp_path / "leaving.png"
    mine.write_bytes(eye.read_bytes())
    with visit(browser, server) as page:
        choose(page, mine)
        assert len(list(server.folder.rglob(mine.name))) == 1
        page.goto("about:blank")
        until(lambda: not list(server.folder.rglob(mine.name)))


def test_the_same_file_can_be_chosen_again(browser: Any, server: Server, tmp_path: Path, eye: Path) -> None:
    path = tmp_path / "half.png"
    path.write_bytes(eye.read_bytes()[:300])
    with visit(browser, server) as page:
        page.set_input_files("#file", path)
        says(page, "half.png", "#message")
        path.write_bytes(eye.read_bytes())
        page.evaluate("document.getElementById('file').click()")
        choose(page, path)


@pytest.mark.slow
def test_a_scan_is_compared_with_its_interpolation(browser: Any, server: Server, brain: Path, tmp_path: Path) -> None:
    """The cubic volume beside the result is what `medsr volume --model cubic` writes, and the difference is theirs."""
    with visit(browser, server) as page:
        choose(page, brain)
        assert page.locator("#scan-panels canvas").count() == 3
        page.check("#uncertainty")
        run(page, "volume")
        sources = page.locator("#scan-panels select")
        assert [one.input_value() for one in sources.all()] == ["Interpolated", "refiner"]
        assert page.input_value("#spread") == "0"
        says(page, "5 % of the scan's range", "#spread-high")
        medsr.volume(brain, tmp_path / "cubic.nii.gz", model="cubic", engine="torch")
        cubic = nib.load(tmp_path / "cubic.nii.gz")
        crossed = [float(page.input_value(f"#cross-{axis}")) for axis in "xyz"]
        voxel = np.rint(np.linalg.inv(cubic.affine) @ [*crossed, 1]).astype(int)[:3]
        near = cubic.dataobj[tuple(slice(max(v - 1, 0), v + 2) for v in voxel)]
        values = page.locator("#scan-panels output").all_text_contents()
        assert int(values[0]) in near
        sources.first.select_option("refiner minus Interpolated")
        until(lambda: page.locator("#scan-panels output").first.text_content() != values[0])
        assert int(page.locator("#scan-panels output").first.text_content()) == int(values[1]) - int(values[0])
        page.check("input[name=scan-layout][value=slider]")
        assert page.locator("#scan-panels canvas").count() == 1
        page.check("input[name=plane][value=all]")
        assert page.locator("#scan-panels canvas").count() == 3


@pytest.mark.slow
def test_the_wheel_leafs_and_leaves_the_crosshair_within_its_slice(browser: Any, server: Server, brain: Path) -> None:
    with visit(browser, server) as page:
        choose(page, brain)
        box = page.locator("#scan-panels canvas").first.bounding_box()
        page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.4 * box["height"])
        before = [page.input_value(f"#cross-{axis}") for axis in "xyz"]
        page.mouse.wheel(0, 100)
        until(lambda: page.input_value("#cross-z") != before[2])
        assert [page.input_value(f"#cross-{axis}") for axis in "xy"] == before[:2]


@pytest.mark.slow
def test_a_slice_of_ct_is_windowed_in_hounsfield_units_and_opens_where_the_model_differs_most(
    browser: Any, server: Server, tmp_path: Path
) -> None:
    stored = np.full((480, 640), 1064, np.uint16)
    stored[320:352, 64:96] += np.random.default_rng(0).integers(0, 900, (32, 32), np.uint16)
    dataset = slice_of(0, Rows=480, Columns=640, PixelData=stored.tobytes())
    dataset.save_as(tmp_path / "ct.dcm", enforce_file_format=True)
    with visit(browser, server) as page:
        choose(page, tmp_path / "ct.dcm")
        page.select_option("#image-preset", "lung")
        until(lambda: page.input_value("#image-level") == "-600" and page.input_value("#image-width") == "1500")
        page.click("#fit")
        until(lambda: page.input_value("#image-level") == "40")
        box = page.locator("figure.panel canvas").bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        until(lambda: page.locator("figure.panel output").text_content().endswith(") 40 HU"))
        run(page, "image")
        says(page, "200 % (result 100 %)", "#zoom-text")
        opened = views(page)[0]
        assert 64 <= opened["x"] <= 96
        assert 320 <= opened["y"] <= 352
        page.check("input[name=layout][value=slider]")
        assert views(page) == [opened]
        page.click("#fit")
        until(lambda: views(page)[0]["zoom"] < 2)
        page.click("#image-detail")
        until(lambda: views(page)[0]["zoom"] == 2)
        opened = views(page)[0]
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.mouse.wheel(0, -100)
        until(lambda: views(page) != [opened])
        moved = views(page)
        run(page, "image")
        assert views(page) == moved  # who looks at something goes on looking at it


@pytest.mark.slow
def test_a_folder_is_listed_shown_and_run_file_by_file(
    browser: Any, server: Server, eye: Path, eye_model: Path, tmp_path: Path
) -> None:
    """Slices of one series are one scan, nothing is dropped in silence, and every result can be downloaded."""
    folder = tmp_path / "study"
    (folder / "ct").mkdir(parents=True)
    for number in range(4):
        slice_of(number).save_as(folder / "ct" / f"Doe {number}.dcm", enforce_file_format=True)
    shutil.copy(eye, folder / "eye.png")
    (folder / "letter.txt").write_text("Dear colleague")
    (folder / "DICOMDIR").write_text("")
    with visit(browser, server) as page:
        sent: list[str] = []
        page.on("request", lambda request: sent.append(request.headers.get("x-file-name", "")))
        page.set_input_files("#folder", folder)
        says(page, "3 images and scans", "#several-title")
        lines = page.locator("#several-list li")
        assert lines.locator("button").all_text_contents() == [
            "study/ct: 4 slices",
            "study/eye.png",
            "study/letter.txt",
        ]
        says(page, "DICOMDIR", "#several-left")
        says(page, "ct.zip is ready")
        assert page.locator("#scans").is_visible()
        page.click("text=study/eye.png")
        says(page, "eye.png is ready")
        page.click("#run-all")
        says(page, "letter.txt: none of what medsr reads", "#several-list li:nth-child(3)")
        says(page, "2 of 3 done")
        assert lines.locator("a").all_text_contents() == ["Download ct_refiner.nii.gz", "Download eye_eye-x2.png"]
        eye_result = downloaded(page, "eye_eye-x2.png")
        assert not any("Doe" in name for name in sent)
        page.click("#sample")
        says(page, "sample-fundus.png is ready")
        assert page.locator("#several").is_hidden()
        says(page, "564 × 564 pixels, colour", "#facts")
    medsr.upscale(eye, tmp_path, model=eye_model, engine="torch")
    assert eye_result == (tmp_path / "eye.png").read_bytes()
