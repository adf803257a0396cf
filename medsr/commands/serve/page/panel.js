// One panel: what is chosen above it, the canvas, and the value below.

import { label } from "./marks.js";

/** @typedef {{ figure: HTMLElement, canvas: HTMLCanvasElement, sources: HTMLSelectElement[], output: HTMLOutputElement }} Panel */

/**
 * @param {HTMLTemplateElement} template @param {string[]} names what it can show
 * @param {string[]} chosen what it shows at first; with two a divider lies between them
 * @param {() => void} onChange called when something else is chosen
 * @returns {Panel}
 */
export function build(template, names, chosen, onChange) {
  const figure = /** @type {HTMLElement} */ (/** @type {Element} */ (template.content.firstElementChild).cloneNode(true));
  const part = (name) => /** @type {any} */ (figure.querySelector(name));
  const first = part("select");
  part("canvas").setAttribute("aria-label", chosen.join(" over ")); // until it is painted
  const sources = chosen.map((_, i) => (i === 0 ? first : first.cloneNode()));
  if (sources.length > 1) {
    first.after(" over ", sources[1]);
    sources[0].setAttribute("aria-label", "Left of the divider");
    sources[1].setAttribute("aria-label", "Right of the divider");
  }
  sources.forEach((source, i) => {
    for (const name of names) source.add(new Option(name, name));
    source.value = chosen[i];
    source.addEventListener("change", onChange);
  });
  return { figure, canvas: part("canvas"), sources, output: part("output") };
}

/** @param {import("./panels.js").Panels} panels @param {Panel} panel one of them */
export function paint(panels, panel) {
  const { canvas, sources, output, figure } = panel;
  const density = canvas.width / Math.max(1, canvas.getBoundingClientRect().width);
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const image = context.createImageData(canvas.width, canvas.height);
  const slides = sources.length > 1;
  const edge = slides ? Math.round((panels.divider ?? 0.5) * canvas.width) : canvas.width;
  const parts = [[0, edge], [edge, canvas.width]];
  sources.forEach((source, i) => panels.paintSource(image, source.value, panel, density, parts[i][0], parts[i][1]));
  context.putImageData(image, 0, 0);
  panels.annotate(context, panel, density);
  if (slides) {
    context.fillStyle = "#fff";
    context.fillRect(edge - density, 0, 2 * density, canvas.height);
    label(context, sources[0].value, 8 * density, 20 * density, density, "left");
    label(context, sources[1].value, canvas.width - 8 * density, 20 * density, density, "right");
  }
  const view = panels.viewOf(panel);
  canvas.setAttribute("aria-label", `${panels.describe(panel)}, ${Math.round(view.zoom * 100)} %`);
  figure.dataset.view = JSON.stringify(view);
  output.textContent = sources.map((source) => panels.value(source.value, panel)).filter(Boolean).join("  |  ");
}
