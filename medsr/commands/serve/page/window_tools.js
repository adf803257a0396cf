// Level and window of what is shown, with presets, for images and scans alike.

import { $, choice, input, on } from "./dom.js";

/** Level and width in Hounsfield units, as radiologists read. @type {Record<string, [number, number]>} */
const PRESETS = {
  "soft tissue": [40, 400],
  lung: [-600, 1500],
  bone: [400, 1800],
  brain: [40, 80],
  mediastinum: [50, 350],
  liver: [60, 160],
};

/** The value of the radio button that is checked. @param {string} name */
export function chosenOf(name) {
  return /** @type {HTMLInputElement} */ (document.querySelector(`input[name=${name}]:checked`)).value;
}

/** Presets are for CT. @param {string} prefix of the tools' names @param {string} unit of the values */
export function showUnits(prefix, unit) {
  $(`${prefix}-unit`).textContent = unit;
  $(`${prefix}-preset`).hidden = unit !== "HU";
}

/** @param {string} prefix of the tools' names @param {import("./panels.js").Panels} panels */
export function listenToPresets(prefix, panels) {
  const select = choice(`${prefix}-preset`);
  for (const name of Object.keys(PRESETS)) select.add(new Option(name, name));
  on(`${prefix}-preset`, "change", () => {
    const [level, width] = PRESETS[select.value] ?? [0, 0];
    panels.setWindow(level - width / 2, level + width / 2);
    select.value = ""; // the same can be chosen again
  });
}

/**
 * @param {string} prefix of the tools' names
 * @param {import("./panels.js").Panels} panels @param {() => [number, number]} auto the values shown as black and white
 */
export function listenToWindow(prefix, panels, auto) {
  const show = (level, width) => panels.setWindow(level - width / 2, level + width / 2);
  const typed = () => show(input(`${prefix}-level`).valueAsNumber, input(`${prefix}-width`).valueAsNumber); // NaN while typing
  on(`${prefix}-level`, "input", typed);
  on(`${prefix}-width`, "input", typed);
  on(`${prefix}-auto`, "click", () => panels.setWindow(...auto()));
}
