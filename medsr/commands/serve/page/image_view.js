// Images: what is shown of the input and its results, and the tools above them.

import * as api from "./api.js";
import { difference, mostDifferent } from "./differences.js";
import { $, input, on, set } from "./dom.js";
import { ImagePanels } from "./image_panels.js";
import { BASELINE } from "./models.js";
import { Picture } from "./picture.js";
import { isCurrent, state } from "./state.js";
import { chosenOf, listenToPresets, listenToWindow, showUnits } from "./window_tools.js";
import { round } from "./words.js";

const INPUT = "Input";
const TRUTH = "Ground truth";
const panels = new ImagePanels($("panels"), /** @type {HTMLTemplateElement} */ ($("panel")), showView);
/** @type {{ picture: Picture, at: import("./panels.js").Place } | null} where model and interpolation differ most */
let detail = null;

/** @param {ImageUpload} upload @param {number} turn */
export async function beginImage({ pixels, facts }, turn) {
  const picture = Picture.read(await api.bytes(pixels.url), pixels, facts);
  if (!isCurrent(turn)) return;
  $("images").hidden = false;
  $("window-tools").hidden = facts.channels === 3;
  $("difference-tools").hidden = $("image-detail").hidden = true;
  showUnits("image", facts.unit);
  detail = null;
  panels.begin(INPUT, picture);
}

/** @param {ImageResult[]} images @param {number} turn */
export async function presentImages(images, turn) {
  const { truth } = state;
  const pictures = new Map([[INPUT, /** @type {Picture} */ (panels.pictures.get(INPUT))]]);
  for (const { model, pixels } of images) {
    const facts = { .../** @type {ImageFacts} */ (state.uploaded?.facts), dtype: pixels.dtype };
    pictures.set(model, Picture.read(await api.bytes(pixels.url), pixels, facts));
  }
  if (truth?.uploaded?.pixels) {
    const { pixels, facts } = truth.uploaded;
    pictures.set(TRUTH, Picture.read(await api.bytes(pixels.url), pixels, facts));
  }
  if (!isCurrent(turn)) return;
  const names = images.map((image) => image.model);
  addDifferences(pictures, names);
  detail = largestDifference(names.find((name) => name !== BASELINE), pictures);
  panels.show(pictures, arrangement(names), sliding());
  $("difference-tools").hidden = ![...pictures.values()].some((picture) => picture.isDifference);
  $("image-detail").hidden = !detail;
  if (panels.fitted) showDetail(); // else the user looks at something, and goes on doing so
}

/** @param {string | undefined} name of the model's picture @param {Map<string, Picture>} pictures */
function largestDifference(name, pictures) {
  const [picture, minus] = [pictures.get(name ?? ""), pictures.get(`${name} minus ${BASELINE}`)];
  return picture && minus ? { picture, at: mostDifferent(minus, picture) } : null;
}

function showDetail() {
  if (detail) panels.showDetail(detail.picture, detail.at);
}

// Beside each other: all of them, the input where there is room. Over each other: interpolation and the model.
/** @param {string[]} results */
function arrangement(results) {
  if (sliding()) return results.length > 1 ? results.slice(0, 2) : [INPUT, ...results];
  return results.length > 2 ? results : [INPUT, ...results];
}

/** @param {Map<string, Picture>} pictures @param {string[]} names */
function addDifferences(pictures, names) {
  for (const other of [BASELINE, TRUTH]) {
    for (const name of names.filter((model) => model !== other)) {
      const [a, b] = [pictures.get(name), pictures.get(other)];
      if (a && b && comparable(a, b)) pictures.set(`${name} minus ${other}`, difference(a, b));
    }
  }
}

// Of one size, and whose values mean the same: 8 bits minus 12 bits would say nothing.
/** @param {Picture} a @param {Picture} b */
function comparable(a, b) {
  const alike = a.width === b.width && a.height === b.height && a.channels === b.channels;
  const meaning = (/** @type {Picture} */ { facts }) => [facts.low, facts.high, facts.inverted, facts.slope, facts.intercept].join();
  return alike && meaning(a) === meaning(b);
}

const sliding = () => chosenOf("layout") === "slider";

function showView() {
  const { low, high, difference: range } = panels.shown;
  $("zoom-text").textContent = zoomed();
  set("image-level", round((low + high) / 2));
  set("image-width", round(high - low));
  set("difference-range", round(range));
  const { unit } = panels.input.facts;
  for (const [id, sign] of [["difference-low", "−"], ["difference-high", "+"]]) {
    $(id).textContent = `${sign}${round(range)}${unit && ` ${unit}`}`;
  }
  $("divider-line").hidden = panels.divider === null;
  if (panels.divider !== null) set("divider", Math.round(panels.divider * 100));
}

/** How large pixels of the input are seen, and those of the result. */
function zoomed() {
  const percent = (/** @type {number} */ zoom) => `${Math.round(zoom * 100)} %`;
  const { zoom } = panels.view;
  return detail ? `${percent(zoom)} (result ${percent(zoom / panels.ratio(detail.picture))})` : percent(zoom);
}

export function listenToImageTools() {
  for (const radio of document.querySelectorAll("input[name=layout]")) {
    radio.addEventListener("change", () => {
      const names = [...panels.pictures.keys()].filter((name) => !panels.pictures.get(name)?.isDifference);
      panels.layout(arrangement(names.filter((name) => name !== INPUT && name !== TRUTH)), sliding());
    });
  }
  on("zoom-in", "click", () => panels.zoomBy(1.25));
  on("zoom-out", "click", () => panels.zoomBy(0.8));
  on("fit", "click", () => {
    const { facts } = panels.input;
    windowOf(facts.show_low, facts.show_high);
    panels.fit();
  });
  on("image-detail", "click", showDetail);
  listenToPresets("image", panels);
  listenToWindow("image", panels, () => panels.input.percentiles(0.005, 0.995));
  on("window-full", "click", () => windowOf(panels.input.facts.low, panels.input.facts.high));
  on("difference-range", "input", () => {
    panels.shown.difference = input("difference-range").valueAsNumber || panels.shown.difference;
    panels.redraw();
  });
  on("divider", "input", () => panels.setDivider(Number(input("divider").value) / 100));
}

/** From stored values, which the file's facts are in. @param {number} low @param {number} high */
function windowOf(low, high) {
  const { inUnits } = panels.input;
  panels.setWindow(inUnits(low), inUnits(high));
}
