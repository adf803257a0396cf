// The models offered, and which of them is chosen.

import { $, choice, element, input } from "./dom.js";

export const BASELINE = "bicubic";
const INTERPOLATIONS = [BASELINE, "lanczos", "cubic", "nearest"];
/** @type {Model[]} */
let models = [];

/** @param {Model[]} all */
export function offer(all) {
  models = all;
  fill(choice("image-model"), "image", () => true);
  fill(choice("image-second"), "image", (one) => one.name !== BASELINE, "none");
  fill(choice("volume-model"), "volume", () => true);
  describe();
}

/** @param {HTMLSelectElement} select @param {Kind} kind @param {(model: Model) => boolean} wanted @param {string} none */
function fill(select, kind, wanted, none = "") {
  select.replaceChildren(...(none ? [new Option(none, "")] : []));
  for (const one of models.filter((model) => model.kind === kind && wanted(model))) {
    select.add(new Option(one.scale ? `${one.name} (×${one.scale})` : one.name, one.name));
  }
}

/** @param {string} name @param {Kind} kind */
export const modelCalled = (name, kind) => models.find((model) => model.name === name && model.kind === kind);

function describe() {
  for (const kind of /** @type {const} */ (["image", "volume"])) {
    const model = modelCalled(choice(`${kind}-model`).value, kind);
    $(`${kind}-about`).replaceChildren(model?.about ?? "", ...(model?.card ? [" ", cardLink(model.card)] : []));
  }
  $("uncertainty-line").hidden = INTERPOLATIONS.includes(choice("volume-model").value); // it gives the same in every plane
}

/** @param {string} href */
export const cardLink = (href) => element("a", "its card", { href, target: "_blank" });

/** @type {Facts | null} */
let shown = null; // the facts of what is shown
let picked = false; // whether the user picked a model for such an image or scan

/** @param {Facts} facts */
const kindOf = (facts) => `${facts.kind}: ${facts.suggested}: ${facts.why}`;

/** Forget a model that was picked for another kind of image or scan. @param {Facts} facts */
export function meet(facts) {
  if (shown && kindOf(shown) !== kindOf(facts)) {
    picked = false;
    choice("image-second").value = "";
  }
  shown = facts;
}

// Choose what suits, by the server's word, unless the user has picked a model. Returns why it is chosen, or what would be.
export function suggest() {
  if (!shown) return "";
  const select = choice(`${shown.kind}-model`);
  if (!picked) select.value = suitable(shown);
  describe();
  const { model, why } = suggestion(shown);
  if (select.value === model) return `${model}: ${why}`;
  if (picked) return `you picked ${select.value}; suggested is ${model}: ${why}`;
  const own = models.some((one) => one.own && one.name === select.value);
  const reason = own ? "this server's own model; medsr does not know what it was made for" : `this server does not offer ${model}`;
  return `${select.value}: ${reason}`;
}

// What the server says of the factor that is asked for.
/** @param {Facts} facts @returns {{ model: string, why: string }} */
function suggestion(facts) {
  if (facts.kind === "volume") return { model: facts.suggested, why: facts.why };
  const factor = Number(input("outscale").value) || 2;
  return facts.by_factor.find((one) => one.up_to === null || factor <= one.up_to) ?? { model: facts.suggested, why: facts.why };
}

// Where a server has models of its own, they come before interpolation.
/** @param {Facts} facts */
function suitable(facts) {
  const offered = models.filter((one) => one.kind === facts.kind);
  const { model } = suggestion(facts);
  const own = offered.find((one) => one.own);
  const suits = offered.some((entry) => entry.name === model) && (facts.fits || !own || model === "nearest");
  return suits ? model : (own?.name ?? (facts.kind === "image" ? BASELINE : "cubic"));
}

export function pick() {
  picked = true;
  describe();
}
