// Pictures of one input side by side, or one over the other with a divider: all move, zoom and are windowed together.

import { listen } from "./gestures.js";
import { draw } from "./picture.js";

const MOST_PANELS = 3;
const MOST_ZOOM = 64;

export class Panels {
  /**
   * @param {HTMLElement} place where panels go
   * @param {HTMLTemplateElement} template one of them
   * @param {() => void} onChange called whenever the view or the window has changed
   */
  constructor(place, template, onChange) {
    this.place = place;
    this.template = template;
    this.onChange = onChange;
    /** @type {Map<string, import("./picture.js").Picture>} */
    this.pictures = new Map();
    /** @type {{ figure: HTMLElement, canvas: HTMLCanvasElement, sources: HTMLSelectElement[], output: HTMLOutputElement }[]} */
    this.panels = [];
    this.view = { x: 0, y: 0, zoom: 1 };
    this.shown = { low: 0, high: 255, difference: 25 };
    /** @type {number | null} */
    this.divider = null;
    /** @type {{ x: number, y: number } | null} */
    this.pointer = null;
    this.waiting = false;
    this.sizes = new ResizeObserver(() => this.resize());
  }

  // A new input: everything begins anew.
  begin(name, picture) {
    this.pictures = new Map([[name, picture]]);
    this.input = picture;
    const { facts } = picture;
    this.shown = { low: facts.show_low, high: facts.show_high, difference: (facts.high - facts.low) / 20 };
    this.layout([name]);
    this.fit();
  }

  // `chosen`: what each panel shows at first. With `divider`, the first two lie over each other in one panel.
  layout(chosen, divider = false) {
    this.divider = divider ? 0.5 : null;
    this.sizes.disconnect();
    this.place.replaceChildren();
    this.panels = [];
    const count = divider ? 1 : Math.min(MOST_PANELS, chosen.length);
    for (let i = 0; i < count; i++) this.add(divider ? chosen.slice(0, 2) : [chosen[i]]);
    this.resize();
  }

  get chosen() {
    return this.panels.flatMap((panel) => panel.sources.map((source) => source.value));
  }

  add(chosen) {
    const figure = /** @type {any} */ (this.template.content.firstElementChild).cloneNode(true);
    const canvas = figure.querySelector("canvas");
    const first = figure.querySelector("select");
    const sources = chosen.map((_, i) => (i === 0 ? first : first.cloneNode()));
    if (sources.length > 1) {
      first.after(" over ", sources[1]);
      sources[0].setAttribute("aria-label", "Left of the divider");
      sources[1].setAttribute("aria-label", "Right of the divider");
    }
    const panel = { figure, canvas, sources, output: figure.querySelector("output") };
    sources.forEach((source, i) => {
      for (const name of this.pictures.keys()) source.add(new Option(name, name));
      source.value = chosen[i];
      source.addEventListener("change", () => this.redraw());
    });
    listen(this, panel);
    this.panels.push(panel);
    this.place.append(figure);
    this.sizes.observe(/** @type {Element} */ (canvas.parentElement));
  }

  // Pictures that came later, and what the panels show now.
  show(pictures, chosen, divider) {
    this.pictures = pictures;
    this.layout(chosen.filter((name) => pictures.has(name)), divider);
  }

  ratio(picture) {
    return picture.width / this.input.width;
  }

  // CSS pixels of the first panel; all are alike.
  get size() {
    const box = this.panels[0]?.figure.querySelector(".canvas")?.getBoundingClientRect();
    return { width: Math.max(1, box?.width ?? 1), height: Math.max(1, box?.height ?? 1) };
  }

  fit() {
    const { width, height } = this.size;
    const zoom = Math.min(width / this.input.width, height / this.input.height);
    this.view = { x: this.input.width / 2, y: this.input.height / 2, zoom };
    this.fitted = true; // until it is moved or zoomed
    this.redraw();
  }

  /** @param {number} factor @param {{ x: number, y: number } | null} at the place, in CSS pixels, that stays */
  zoomBy(factor, at = null) {
    const { width, height } = this.size;
    const least = Math.min(1, width / this.input.width, height / this.input.height) / 4;
    const zoom = Math.min(MOST_ZOOM, Math.max(least, this.view.zoom * factor));
    const x = at ? at.x - width / 2 : 0;
    const y = at ? at.y - height / 2 : 0;
    this.view.x += x / this.view.zoom - x / zoom;
    this.view.y += y / this.view.zoom - y / zoom;
    this.view.zoom = zoom;
    this.keepInside();
    this.redraw();
  }

  moveBy(x, y) {
    this.view.x -= x / this.view.zoom;
    this.view.y -= y / this.view.zoom;
    this.keepInside();
    this.redraw();
  }

  keepInside() {
    this.fitted = false;
    this.view.x = Math.min(this.input.width, Math.max(0, this.view.x));
    this.view.y = Math.min(this.input.height, Math.max(0, this.view.y));
  }

  setWindow(low, high) {
    if (!(high > low)) return;
    this.shown.low = low;
    this.shown.high = high;
    this.redraw();
  }

  resize() {
    const density = window.devicePixelRatio || 1;
    for (const { canvas } of this.panels) {
      const box = canvas.getBoundingClientRect();
      canvas.width = Math.max(1, Math.round(box.width * density));
      canvas.height = Math.max(1, Math.round(box.height * density));
    }
    if (this.fitted) this.fit();
    else this.redraw();
  }

  redraw() {
    if (this.waiting || !this.input) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.panels.forEach((panel) => this.paint(panel));
      this.onChange();
    });
  }

  paint({ canvas, sources, output, figure }) {
    const density = canvas.width / Math.max(1, canvas.getBoundingClientRect().width);
    const view = { ...this.view, zoom: this.view.zoom * density };
    const context = canvas.getContext("2d");
    const image = context.createImageData(canvas.width, canvas.height);
    const edge = this.divider === null ? canvas.width : Math.round(this.divider * canvas.width);
    const parts = [[0, edge], [edge, canvas.width]];
    sources.forEach((source, i) => {
      const picture = this.pictures.get(source.value);
      draw(image, picture, view, this.ratio(picture), this.shown, ...parts[i]);
    });
    context.putImageData(image, 0, 0);
    if (this.divider !== null) {
      context.fillStyle = "#fff";
      context.fillRect(edge - density, 0, 2 * density, canvas.height);
    }
    const names = sources.map((source) => source.value).join(" over ");
    canvas.setAttribute("aria-label", `${names}, ${Math.round(this.view.zoom * 100)} %`);
    figure.dataset.view = JSON.stringify(this.view);
    if (this.pointer) this.mark(context, this.pointer, density);
    const { pointer } = this;
    output.textContent = pointer ? sources.map((source) => this.value(source.value, pointer)).join("  |  ") : "";
  }

  mark(context, { x: across, y: down }, density) {
    const x = ((across - this.view.x) * this.view.zoom + this.size.width / 2) * density;
    const y = ((down - this.view.y) * this.view.zoom + this.size.height / 2) * density;
    context.strokeStyle = "#ffd54a";
    context.lineWidth = density;
    context.beginPath();
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      context.moveTo(x + dx * 4 * density, y + dy * 4 * density);
      context.lineTo(x + dx * 10 * density, y + dy * 10 * density);
    }
    context.stroke();
  }

  value(name, { x: across, y: down }) {
    const picture = this.pictures.get(name);
    if (!picture) return "";
    const ratio = this.ratio(picture);
    const x = Math.floor(across * ratio);
    const y = Math.floor(down * ratio);
    const values = picture.at(x, y);
    if (values === null) return "outside";
    const text = picture.isDifference ? values.map((v) => (v > 0 ? "+" : "") + v.toFixed(1)) : values;
    return `(${x}, ${y}) ${text.join(" ")}`;
  }

  setDivider(share) {
    this.divider = Math.min(1, Math.max(0, share));
    this.redraw();
  }

  // As on a workstation: sideways the window's width, upwards the level.
  dragWindow(x, y) {
    if (this.input.channels !== 1) return;
    const { facts } = this.input;
    const unit = (facts.high - facts.low) / 512;
    const width = Math.max(unit, this.shown.high - this.shown.low + x * unit);
    const level = (this.shown.high + this.shown.low) / 2 - y * unit;
    this.setWindow(level - width / 2, level + width / 2);
  }
}
