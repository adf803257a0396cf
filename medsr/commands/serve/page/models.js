// The models offered, and which of them is chosen.

import { $ } from "./words.js";

export const BASELINE = "bicubic";
let models = [];

export function offer(all) {
  models = all;
  fill($("image-model"), "image", () => true);
  fill($("image-second"), "image", (one) => one.name !== BASELINE, "none");
  fill($("volume-model"), "volume", () => true);
  describe();
}

function fill(select, kind, wanted, none) {
  select.replaceChildren(...(none ? [new Option(none, "")] : []));
  for (const one of models.filter((model) => model.kind === kind && wanted(model))) {
    select.add(new Option(one.scale ? `${one.name} (×${one.scale})` : one.name, one.name));
  }
}

function describe() {
  for (const kind of ["image", "volume"]) {
    const model = models.find((one) => one.name === $(`${kind}-model`).value && one.kind === kind);
    $(`${kind}-about`).textContent = model?.about ?? "";
  }
}

let shown = null; // the facts of what is shown
let picked = false; // whether the user picked a model for such an image or scan

const kindOf = (facts) => `${facts.kind}: ${facts.suggested}: ${facts.why}`;

// Forget a model that was picked for another kind of image or scan.
export function meet(facts) {
  if (shown && kindOf(shown) !== kindOf(facts)) {
    picked = false;
    $("image-second").value = "";
  }
  shown = facts;
}

// Choose what suits, by the server's word, unless the user has picked a model. Returns why it is chosen.
export function suggest() {
  if (!shown) return "";
  const select = $(`${shown.kind}-model`);
  if (!picked) select.value = suitable();
  describe();
  const { model, why } = suggestion();
  if (select.value === model) return `${model}: ${why}`;
  if (picked) return "";
  const own = models.some((one) => one.own && one.name === select.value);
  const reason = own ? "this server's own model; medsr does not know what it was made for" : `this server does not offer ${model}`;
  return `${select.value}: ${reason}`;
}

// What the server says of the factor that is asked for.
function suggestion() {
  if (shown.kind === "volume") return { model: shown.suggested, why: shown.why };
  const factor = Number($("outscale").value) || 2;
  return shown.by_factor.find((one) => one.up_to === null || factor <= one.up_to);
}

// Where a server has models of its own, they come before interpolation.
function suitable() {
  const offered = models.filter((one) => one.kind === shown.kind);
  const { model } = suggestion();
  const own = offered.find((one) => one.own);
  const suits = offered.some((entry) => entry.name === model) && (shown.fits || !own || model === "nearest");
  return suits ? model : (own?.name ?? (shown.kind === "image" ? BASELINE : "cubic"));
}

export function pick() {
  picked = true;
  describe();
}
