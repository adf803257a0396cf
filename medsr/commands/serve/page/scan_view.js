// Scans: what is shown of the input and its result, and the tools above them.

import * as api from "./api.js";
import { $, choice, input, on, set } from "./dom.js";
import { Volume } from "./nifti.js";
import { ScanPanels } from "./scan_panels.js";
import { isCurrent, state } from "./state.js";
import { chosenOf, listenToPresets, listenToWindow, showUnits } from "./window_tools.js";
import { round, worded } from "./words.js";

const INPUT = "Input";
const INTERPOLATED = "Interpolated";
const SPREAD_SHARES = [0.005, 0.05]; // of the scan's range: where the colour of the uncertainty begins, and is full
/** @typedef {keyof typeof import("./scan_panels.js").PLANES} Plane */
/** @type {Plane[]} */
const ALL = ["axial", "coronal", "sagittal"];

const panels = new ScanPanels($("scan-panels"), /** @type {HTMLTemplateElement} */ ($("panel")), showView);
let result = ""; // the name of what the model made

/** @param {VolumeUpload} upload @param {number} turn */
export async function beginScan({ nifti, facts }, turn) {
  const volume = new Volume(await api.bytes(nifti));
  if (!isCurrent(turn)) return;
  $("scans").hidden = false;
  $("scan-compare").hidden = $("spread-tools").hidden = $("scan-difference-tools").hidden = true;
  result = "";
  panels.beginScan(INPUT, volume, facts);
  showUnits("scan", facts.unit);
  check("plane", "all");
  arrange();
  panels.fit();
}

/** @param {VolumeResult} job @param {number} turn */
export async function presentScan(job, turn) {
  const load = async (url) => (url ? new Volume(await api.bytes(url)) : null);
  const [volume, interpolated, spread] = [await load(job.nifti), await load(job.interpolated_nifti), await load(job.uncertainty_nifti)];
  if (!isCurrent(turn) || !volume) return;
  const again = Boolean(result); // who compares models goes on looking at the same place
  result = job.model;
  const first = /** @type {import("./slices.js").Layer} */ (panels.layers.get(INPUT));
  panels.layers = new Map([[INPUT, first]]);
  if (interpolated) panels.layers.set(INTERPOLATED, { volume: interpolated });
  panels.layers.set(result, { volume });
  if (interpolated) panels.layers.set(`${result} minus ${INTERPOLATED}`, { volume, minus: interpolated });
  panels.finest = Math.min(...volume.spacing);
  showSpread(spread);
  $("scan-compare").hidden = false;
  $("scan-difference-tools").hidden = !interpolated;
  if (interpolated && !again) panels.setCrossMm(mostDifferent(volume, interpolated));
  if (!again) check("plane", acrossSlices(first.volume));
  arrange();
  if (!again) panels.fit();
}

/** @param {Volume | null} volume */
function showSpread(volume) {
  const { range, unit } = panels;
  const [low, high] = SPREAD_SHARES.map((share) => share * range);
  panels.spread = volume && { volume, over: result, low, high, opacity: 0 };
  $("spread-tools").hidden = !volume;
  set("spread", 0);
  $("spread-low").textContent = round(low);
  $("spread-high").textContent = `${round(high)}${unit && ` ${unit}`} or more (5 % of the scan's range)`;
}

// A plane that shows what was made between the slices: their direction runs in it.
/** @param {Volume} volume @returns {Plane} */
function acrossSlices({ affine, spacing }) {
  const axis = spacing.indexOf(Math.max(...spacing));
  const along = affine.map((row) => Math.abs(row[axis]));
  return along.indexOf(Math.max(...along)) === 2 ? "coronal" : "axial";
}

/** The middle of the part, of 12 voxels' side, where two volumes on one grid differ most. @param {Volume} a @param {Volume} b */
function mostDifferent(a, b) {
  const side = 12;
  const [nx, ny, nz] = a.shape;
  let most = -1;
  let best = [nx / 2, ny / 2, nz / 2];
  for (let k = 0; k < nz; k += side) for (let j = 0; j < ny; j += side) for (let i = 0; i < nx; i += side) {
    let sum = 0;
    for (let z = k; z < Math.min(nz, k + side); z += 3) for (let y = j; y < Math.min(ny, j + side); y += 3) {
      const row = nx * (y + ny * z);
      for (let x = i; x < Math.min(nx, i + side); x += 3) sum += Math.abs(a.values[row + x] - b.values[row + x]);
    }
    if (sum > most) [most, best] = [sum, [i + side / 2, j + side / 2, k + side / 2]];
  }
  return a.affine.map((row) => row[0] * best[0] + row[1] * best[1] + row[2] * best[2] + row[3]);
}

function arrange() {
  const plane = chosenOf("plane");
  const planes = plane === "all" ? ALL : [/** @type {Plane} */ (plane)];
  const names = !result ? [INPUT] : panels.layers.has(INTERPOLATED) ? [INTERPOLATED, result] : [INPUT, result];
  panels.arrange(planes, names, Boolean(result) && chosenOf("scan-layout") === "slider");
}

/** @param {string} name @param {string} value */
function check(name, value) {
  /** @type {HTMLInputElement} */ (document.querySelector(`input[name=${name}][value=${value}]`)).checked = true;
}

function showView() {
  const { low, high, difference } = panels.shown;
  const mm = panels.crossMm;
  ["x", "y", "z"].forEach((axis, i) => set(`cross-${axis}`, +mm[i].toFixed(2)));
  [INPUT, result].forEach((name, i) => {
    const spread = name === result && panels.spread ? panels.spread.volume.at(mm) : null;
    $(`scan-value-${i}`).textContent = name ? `${name}: ${worded(panels.valueAt(name, mm), spread, panels.unit)}` : "";
  });
  set("scan-level", round((low + high) / 2));
  set("scan-width", round(high - low));
  set("scan-difference", round(difference));
  for (const [id, sign] of [["scan-difference-low", "−"], ["scan-difference-high", "+"]]) {
    $(id).textContent = `${sign}${round(difference)}${panels.unit && ` ${panels.unit}`}`;
  }
}

export function listenToScanTools() {
  for (const name of ["plane", "scan-layout"]) {
    for (const radio of document.querySelectorAll(`input[name=${name}]`)) radio.addEventListener("change", arrange);
  }
  const crossed = () => panels.setCrossMm(["x", "y", "z"].map((axis) => input(`cross-${axis}`).valueAsNumber));
  for (const axis of ["x", "y", "z"]) on(`cross-${axis}`, "change", crossed);
  on("scan-in", "click", () => panels.zoomBy(1.25));
  on("scan-out", "click", () => panels.zoomBy(0.8));
  on("scan-fit", "click", () => {
    const facts = /** @type {VolumeFacts} */ (state.uploaded?.facts);
    panels.setWindow(facts.show_low, facts.show_high);
    panels.fit();
  });
  listenToPresets("scan", panels);
  listenToWindow("scan", panels, () => {
    const { volume } = /** @type {import("./slices.js").Layer} */ (panels.layers.get(INPUT));
    return volume.percentiles();
  });
  on("smooth", "change", () => {
    panels.smooth = choice("smooth").value === "smooth";
    panels.redraw();
  });
  on("spread", "input", () => {
    if (panels.spread) panels.spread.opacity = Number(input("spread").value) / 100;
    panels.redraw();
  });
  on("scan-difference", "input", () => {
    panels.shown.difference = input("scan-difference").valueAsNumber || panels.shown.difference;
    panels.redraw();
  });
}
