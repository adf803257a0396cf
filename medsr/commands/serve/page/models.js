// The models offered, and which of them is chosen.

import { $ } from "./words.js";

export const BASELINE = "bicubic";
let models = [];

export function offer(all) {
  models = all;
  fill($("image-model"), "image", (one) => one.name !== BASELINE);
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

// Choose the model made for such an image or scan, unless the user has chosen one before. Whether there is one here.
export function suggest(facts) {
  const select = $(`${facts.kind}-model`);
  if ([...select.options].some((option) => option.value === facts.suggested) && !select.dataset.picked) {
    select.value = facts.suggested;
    describe();
  }
  return models.some((one) => one.kind === facts.kind && one.name === facts.suggested);
}

export function pick(event) {
  event.target.dataset.picked = "yes";
  describe();
}
