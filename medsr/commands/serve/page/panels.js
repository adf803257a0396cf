// Pictures of one input side by side, or one over the other with a divider: all move, zoom and are windowed together.

import { listen } from "./gestures.js";
import { label, mark } from "./marks.js";
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
  zoomBy(factor, at = null, _panel = /** @type {any} */ (null)) {
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

  /** @param {number} x @param {number} y @param {any} _panel */
  moveBy(x, y, _panel = null) {
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

  paint(panel) {
    const { canvas, sources, output, figure } = panel;
    const density = canvas.width / Math.max(1, canvas.getBoundingClientRect().width);
    const context = canvas.getContext("2d");
    const image = context.createImageData(canvas.width, canvas.height);
    const slides = sources.length > 1;
    const edge = slides ? Math.round((this.divider ?? 0.5) * canvas.width) : canvas.width;
    const parts = [[0, edge], [edge, canvas.width]];
    sources.forEach((source, i) => this.paintSource(image, source.value, panel, density, ...parts[i]));
    context.putImageData(image, 0, 0);
    this.annotate(context, panel, density);
    if (slides) {
      context.fillStyle = "#fff";
      context.fillRect(edge - density, 0, 2 * density, canvas.height);
      label(context, sources[0].value, 8 * density, 20 * density, density, "left");
      label(context, sources[1].value, canvas.width - 8 * density, 20 * density, density, "right");
    }
    const view = this.viewOf(panel);
    canvas.setAttribute("aria-label", `${this.describe(panel)}, ${Math.round(view.zoom * 100)} %`);
    figure.dataset.view = JSON.stringify(view);
    output.textContent = sources.map((source) => this.value(source.value, panel)).filter(Boolean).join("  |  ");
  }

  describe({ sources }) {
    return sources.map((source) => source.value).join(" over ");
  }

  // What follows is for images; scans have their own (scan_panels.js).

  viewOf(_panel) {
    return this.view;
  }

  paintSource(image, name, _panel, density, from, to) {
    const picture = this.pictures.get(name);
    if (picture) draw(image, picture, { ...this.view, zoom: this.view.zoom * density }, this.ratio(picture), this.shown, from, to);
  }

  annotate(context, panel, density) {
    if (this.pointer) mark(context, this.onScreen(this.pointer, panel), density);
  }

  /** Where in the picture a place on the screen (CSS pixels) lies. */
  inPicture({ x, y }, panel) {
    const { width, height } = this.size;
    const view = this.viewOf(panel);
    return { x: view.x + (x - width / 2) / view.zoom, y: view.y + (y - height / 2) / view.zoom };
  }

  onScreen({ x, y }, panel) {
    const { width, height } = this.size;
    const view = this.viewOf(panel);
    return { x: (x - view.x) * view.zoom + width / 2, y: (y - view.y) * view.zoom + height / 2 };
  }

  point(at, panel) {
    this.pointer = this.inPicture(at, panel);
    this.redraw();
  }

  tap(_at, _panel) {}

  wheel(event, at, panel) {
    this.zoomBy(2 ** (-Math.sign(event.deltaY) / 4), at, panel);
  }

  /** @returns {Record<string, () => void>} */
  keys(panel) {
    const step = Math.min(this.size.width, this.size.height) / 10;
    return {
      ArrowLeft: () => this.moveBy(step, 0, panel),
      ArrowRight: () => this.moveBy(-step, 0, panel),
      ArrowUp: () => this.moveBy(0, step, panel),
      ArrowDown: () => this.moveBy(0, -step, panel),
      "+": () => this.zoomBy(1.25),
      "=": () => this.zoomBy(1.25),
      "-": () => this.zoomBy(0.8),
      0: () => this.fit(),
    };
  }

  keyed(_panel) {
    this.pointer = { x: this.view.x, y: this.view.y }; // the value in the middle, for those without a pointer
  }

  value(name, _panel) {
    const picture = this.pictures.get(name);
    if (!picture || !this.pointer) return "";
    const ratio = this.ratio(picture);
    const x = Math.floor(this.pointer.x * ratio);
    const y = Math.floor(this.pointer.y * ratio);
    const values = picture.at(x, y);
    if (values === null) return "outside";
    const text = picture.isDifference ? values.map((v) => (v > 0 ? "+" : "") + v.toFixed(1)) : values;
    return `(${x}, ${y}) ${text.join(" ")}`;
  }

  setDivider(share) {
    this.divider = Math.min(1, Math.max(0, share));
    this.redraw();
  }

  /** What the window changes by for a CSS pixel; null where there is none. */
  get windowStep() {
    const { channels, facts } = this.input;
    return channels === 1 ? (facts.high - facts.low) / 512 : null;
  }

  // As on a workstation: sideways the window's width, upwards the level.
  dragWindow(x, y) {
    const unit = this.windowStep;
    if (!unit) return;
    const width = Math.max(unit, this.shown.high - this.shown.low + x * unit);
    const level = (this.shown.high + this.shown.low) / 2 - y * unit;
    this.setWindow(level - width / 2, level + width / 2);
  }
}
