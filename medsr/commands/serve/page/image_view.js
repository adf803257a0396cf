// Images: what is shown of the input and its results, and the tools above them.

import * as api from "./api.js";
import { $, input, on, set } from "./dom.js";
import { BASELINE } from "./models.js";
import { Panels } from "./panels.js";
import { Picture, difference } from "./picture.js";
import { isCurrent, state } from "./state.js";
import { chosenOf, listenToWindow } from "./window_tools.js";
import { round } from "./words.js";

const INPUT = "Input";
const TRUTH = "Ground truth";
const panels = new Panels($("panels"), /** @type {HTMLTemplateElement} */ ($("panel")), showView);

/** @param {ImageUpload} upload @param {number} turn */
export async function beginImage({ pixels, facts }, turn) {
  const picture = Picture.read(await api.bytes(pixels.url), pixels, facts);
  if (!isCurrent(turn)) return;
  $("images").hidden = false;
  $("window-tools").hidden = facts.channels === 3;
  $("difference-tools").hidden = true;
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
  panels.show(pictures, arrangement(names), sliding());
  $("difference-tools").hidden = false;
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
  return alike && a.facts.low === b.facts.low && a.facts.high === b.facts.high && a.facts.inverted === b.facts.inverted;
}

const sliding = () => chosenOf("layout") === "slider";

function showView() {
  const { low, high, difference: range } = panels.shown;
  $("zoom-text").textContent = `${Math.round(panels.view.zoom * 100)} %`;
  set("image-level", round((low + high) / 2));
  set("image-width", round(high - low));
  set("difference-range", round(range));
  $("difference-low").textContent = `−${round(range)}`;
  $("difference-high").textContent = `+${round(range)}`;
  $("divider-line").hidden = panels.divider === null;
  if (panels.divider !== null) set("divider", Math.round(panels.divider * 100));
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
    panels.setWindow(facts.show_low, facts.show_high);
    panels.fit();
  });
  listenToWindow("image", panels, () => panels.input.percentiles(0.005, 0.995));
  on("window-full", "click", () => panels.setWindow(panels.input.facts.low, panels.input.facts.high));
  on("difference-range", "input", () => {
    panels.shown.difference = input("difference-range").valueAsNumber || panels.shown.difference;
    panels.redraw();
  });
  on("divider", "input", () => panels.setDivider(Number(input("divider").value) / 100));
}
