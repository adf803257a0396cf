// Scans: what is shown of the input and its result, and the tools above them.

import * as api from "./api.js";
import { $, element, input, on, set } from "./dom.js";
import { isCurrent } from "./state.js";
import { round, worded } from "./words.js";

/** @type {import("./scans.js").Scans | null} */
let scans = null;

/** @param {VolumeUpload} upload @param {number} turn */
export async function beginScan({ nifti }, turn) {
  $("scans").hidden = false;
  $("scan-result").hidden = true;
  $("spread-tools").hidden = true;
  if (!hasWebGL()) {
    $("scans").hidden = true;
    throw new api.Problem("This browser cannot show scans (it has no WebGL2). They can be refined and downloaded.", 0);
  }
  if (!scans) {
    const { Scans } = await loadViewer();
    scans ??= new Scans([$("scan-0"), $("scan-1")], showCrosshair, showWindow);
  }
  if (!isCurrent(turn)) return;
  await scans.begin(nifti);
  scans.setWindow(...scans.window);
}

function hasWebGL() {
  return document.createElement("canvas").getContext("webgl2") !== null;
}

// NiiVue is large: it is loaded when the first scan comes.
async function loadViewer() {
  if (!window.niivue) {
    await new Promise((resolve, reject) => {
      const script = element("script", "", { src: "vendor/niivue.umd.js" });
      script.onload = resolve;
      script.onerror = () => reject(new api.Problem(api.UNREACHABLE, 0));
      document.head.append(script);
    });
  }
  return import("./scans.js");
}

/** @param {VolumeResult} result @param {number} turn */
export async function presentScan(result, turn) {
  if (!scans) return; // this browser cannot show them; they can be downloaded
  $("scan-result").hidden = false;
  $("scan-name").textContent = result.model;
  try {
    await scans.add(result.nifti);
  } catch (error) {
    $("scan-result").hidden = true;
    const { message } = /** @type {Error} */ (error);
    throw new api.Problem(`The result cannot be shown (${message}); it can be downloaded.`, 0);
  }
  if (result.uncertainty_nifti) {
    const high = result.uncertainty_p99 ?? 0;
    await scans.addSpread(result.uncertainty_nifti, high / 5, high);
    $("spread-range").textContent = `coloured from ${round(high / 5)} to ${round(high)}`;
    set("spread", 50);
    scans.setSpread(0.5);
  }
  if (isCurrent(turn)) $("spread-tools").hidden = !result.uncertainty_nifti;
}

/** @param {number[]} mm @param {(number | null)[]} values @param {number | null} spread */
function showCrosshair(mm, values, spread) {
  ["x", "y", "z"].forEach((axis, i) => set(`cross-${axis}`, +mm[i].toFixed(2)));
  [0, 1].forEach((i) => {
    $(`scan-value-${i}`).textContent = i < values.length ? worded(values[i], i === 1 ? spread : null) : "";
  });
}

/** @param {number} low @param {number} high */
function showWindow(low, high) {
  set("scan-low", round(low));
  set("scan-high", round(high));
}

export function listenToScanTools() {
  const crossed = () => scans?.setCrosshair(["x", "y", "z"].map((axis) => input(`cross-${axis}`).valueAsNumber));
  for (const axis of ["x", "y", "z"]) on(`cross-${axis}`, "change", crossed);
  const shown = () => scans?.setWindow(input("scan-low").valueAsNumber, input("scan-high").valueAsNumber);
  on("scan-low", "change", shown);
  on("scan-high", "change", shown);
  on("scan-in", "click", () => scans?.zoomBy(1.25));
  on("scan-out", "click", () => scans?.zoomBy(0.8));
  on("scan-fit", "click", () => scans?.centre());
  on("smooth", "change", () => scans?.smooth(input("smooth").checked));
  on("spread", "input", () => scans?.setSpread(Number(input("spread").value) / 100));
}
