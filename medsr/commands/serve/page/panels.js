// Panels side by side, or one with two pictures and a divider: all move, zoom and are windowed together. What a panel
// shows of an image or a scan, and where in it, image_panels.js and scan_panels.js say.

import { listen } from "./gestures.js";
import { build, paint } from "./panel.js";

const MOST_PANELS = 3;

/** @typedef {{ x: number, y: number }} Place */

/** @abstract */
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
    /** @type {import("./panel.js").Panel[]} */
    this.panels = [];
    /** Black, white and the full colour of differences, in the values' own units. */
    this.shown = { low: 0, high: 255, difference: 25 };
    /** @type {number | null} */
    this.divider = null;
    /** @type {any} the place under the pointer */
    this.pointer = null;
    this.fitted = true; // until it is moved or zoomed
    this.waiting = false;
    this.sizes = new ResizeObserver(() => this.resize());
  }

  // `chosen`: what each panel shows at first. With `divider`, the first two lie over each other in one panel.
  layout(chosen, divider = false) {
    this.clear(divider);
    const count = divider ? 1 : Math.min(MOST_PANELS, chosen.length);
    for (let i = 0; i < count; i++) this.add(divider ? chosen.slice(0, 2) : [chosen[i]]);
    this.resize();
  }

  /** @param {boolean} divider whether one is to come */
  clear(divider) {
    this.divider = divider ? this.divider ?? 0.5 : null;
    this.sizes.disconnect();
    this.place.replaceChildren();
    this.panels = [];
  }

  add(chosen) {
    const panel = build(this.template, this.names, chosen, () => this.redraw());
    listen(this, panel);
    this.panels.push(panel);
    this.place.append(panel.figure);
    this.sizes.observe(/** @type {Element} */ (panel.canvas.parentElement));
  }

  // CSS pixels of the first panel; all are alike.
  get size() {
    const box = this.panels[0]?.figure.querySelector(".canvas")?.getBoundingClientRect();
    return { width: Math.max(1, box?.width ?? 1), height: Math.max(1, box?.height ?? 1) };
  }

  setWindow(low, high) {
    if (!(high > low)) return;
    this.shown.low = low;
    this.shown.high = high;
    this.redraw();
  }

  // As on a workstation: sideways the window's width, upwards the level.
  dragWindow(x, y) {
    const unit = this.windowStep;
    if (!unit) return;
    const width = Math.max(unit, this.shown.high - this.shown.low + x * unit);
    const level = (this.shown.high + this.shown.low) / 2 - y * unit;
    this.setWindow(level - width / 2, level + width / 2);
  }

  setDivider(share) {
    this.divider = Math.min(1, Math.max(0, share));
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
    if (this.waiting || this.empty) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.panels.forEach((panel) => paint(this, panel));
      this.onChange();
    });
  }

  describe({ sources }) {
    return sources.map((source) => source.value).join(" over ");
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

  wheel(event, at, panel) {
    this.zoomBy(2 ** (-Math.sign(event.deltaY) / 4), at, panel);
  }

  tap(_at, _panel) {}

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

  // What images and scans have each in their own way.

  /** What a panel can show. @abstract @returns {string[]} */
  get names() {
    return [];
  }

  /** @abstract */
  get empty() {
    return true;
  }

  /** What the window changes by for a CSS pixel; null where there is none. @abstract @returns {number | null} */
  get windowStep() {
    return null;
  }

  /** The middle of what a panel shows, and CSS pixels for one of its units. @abstract @returns {Place & { zoom: number }} */
  viewOf(_panel) {
    return { x: 0, y: 0, zoom: 1 };
  }

  /** @abstract */
  fit() {}

  /** @abstract @param {number} _factor @param {Place | null} _at in CSS pixels, which stays @param {any} _panel */
  zoomBy(_factor, _at = null, _panel = null) {}

  /** @abstract @param {number} _x @param {number} _y @param {any} _panel */
  moveBy(_x, _y, _panel = null) {}

  /** From one column of the canvas to another. @abstract */
  paintSource(_image, _name, _panel, _density, _from, _to) {}

  /** @abstract */
  annotate(_context, _panel, _density) {}

  /** After a key, for those without a pointer. @abstract */
  keyed(_panel) {}

  /** What is under the pointer, in words. @abstract @returns {string} */
  value(_name, _panel) {
    return "";
  }
}
