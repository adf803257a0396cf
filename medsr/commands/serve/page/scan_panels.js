// Planes of a scan and of what became of it, side by side or over each other, around one crosshair in millimetres.

import { crosshair, label, ruler } from "./marks.js";
import { apply, frameOf, inverse } from "./nifti.js";
import { Panels } from "./panels.js";
import { paintOver, paintValues, sampled } from "./slices.js";
import { round } from "./words.js";

/**
 * Axes of the frame (left, back, down) that run across, down and through; and the letters at the left, right, upper and
 * lower edge: the patient's right and front are on the left, as radiologists read.
 */
export const PLANES = {
  axial: { axes: [0, 1, 2], edges: "RLAP" },
  coronal: { axes: [0, 2, 1], edges: "RLSI" },
  sagittal: { axes: [1, 2, 0], edges: "APSI" },
};
const MOST_ZOOM = 64; // CSS pixels of 1 mm

export class ScanPanels extends Panels {
  /** @type {Map<string, import("./slices.js").Layer>} */
  layers = new Map();
  toMm = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]];
  fromMm = inverse([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]);
  finest = 1;
  half = [1, 1, 1];
  centre = [0, 0, 0];
  cross = [0, 0, 0];
  zoom = 1;
  smooth = false;
  unit = "";
  range = 1;
  /** @type {{ volume: import("./nifti.js").Volume, over: string, low: number, high: number, opacity: number } | null} */
  spread = null;
  /** @type {{ planes: (keyof typeof PLANES)[], names: string[] }} */
  arrangement = { planes: ["axial"], names: [] };

  /** @param {string} name @param {import("./nifti.js").Volume} volume @param {VolumeFacts} facts */
  beginScan(name, volume, facts) {
    this.layers = new Map([[name, { volume }]]);
    Object.assign(this, { ...frameOf(volume), cross: [0, 0, 0], spread: null, unit: facts.unit, range: facts.range });
    this.fromMm = inverse(this.toMm);
    this.finest = Math.min(...volume.spacing);
    this.shown = { low: facts.show_low, high: facts.show_high, difference: facts.range / 20 };
  }

  /**
   * In one plane a panel for each of `names`; in several a panel for each plane, the names over each other.
   * @param {(keyof typeof PLANES)[]} planes @param {string[]} names @param {boolean} slides
   */
  arrange(planes, names, slides) {
    this.clear(slides);
    const contents = slides || planes.length > 1 ? planes.map((plane) => [plane, names]) : names.map((name) => [planes[0], [name]]);
    for (const [plane, sources] of contents) {
      this.add(slides ? sources.slice(0, 2) : sources.slice(-1));
      Object.assign(this.panels[this.panels.length - 1], { plane });
    }
    this.resize();
  }

  get names() {
    return [...this.layers.keys()];
  }

  get empty() {
    return this.layers.size === 0;
  }

  planeOf(panel) {
    return PLANES[/** @type {keyof typeof PLANES} */ (panel.plane)];
  }

  viewOf(panel) {
    const [u, v] = this.planeOf(panel).axes;
    return { x: this.centre[u], y: this.centre[v], zoom: this.zoom };
  }

  describe(panel) {
    return `${super.describe(panel)}, ${panel.plane}`;
  }

  fit() {
    const { width, height } = this.size;
    const zooms = this.panels.map((panel) => {
      const [u, v] = this.planeOf(panel).axes;
      return Math.min(width / (2 * this.half[u]), height / (2 * this.half[v]));
    });
    this.centre = [0, 0, 0];
    this.zoom = 0.96 * Math.min(...zooms);
    this.fitted = true;
    this.redraw();
  }

  zoomBy(factor, at = null, panel = null) {
    const zoom = Math.min(MOST_ZOOM, Math.max(0.1, this.zoom * factor));
    const fixed = at && panel ? this.placeAt(at, panel) : this.cross;
    const axes = at && panel ? this.planeOf(panel).axes.slice(0, 2) : [0, 1, 2];
    for (const axis of axes) this.centre[axis] = fixed[axis] + ((this.centre[axis] - fixed[axis]) * this.zoom) / zoom;
    this.zoom = zoom;
    this.fitted = false;
    this.redraw();
  }

  /** @param {number} x @param {number} y @param {any} panel */
  moveBy(x, y, panel = null) {
    const [u, v] = this.planeOf(panel ?? this.panels[0]).axes;
    for (const [axis, by] of [[u, x], [v, y]]) {
      this.centre[axis] = Math.min(this.half[axis], Math.max(-this.half[axis], this.centre[axis] - by / this.zoom));
    }
    this.fitted = false;
    this.redraw();
  }

  /** The place in the frame under a place on the screen. */
  placeAt(at, panel) {
    const [u, v] = this.planeOf(panel).axes;
    const { x, y } = this.inPicture(at, panel);
    const place = [...this.cross];
    [place[u], place[v]] = [x, y];
    return place;
  }

  point(at, panel) {
    this.pointer = /** @type {any} */ (this.placeAt(at, panel));
    this.redraw();
  }

  tap(at, panel) {
    this.setCross(this.placeAt(at, panel));
  }

  // The wheel leafs through the slices; the crosshair stays where it is within them. With Ctrl it zooms.
  wheel(event, at, panel) {
    if (event.ctrlKey) super.wheel(event, at, panel);
    else this.leaf(Math.sign(event.deltaY), panel);
  }

  leaf(steps, panel) {
    const through = this.planeOf(panel).axes[2];
    const place = [...this.cross];
    place[through] += steps * this.finest;
    this.setCross(place);
    if (this.pointer) this.pointer[through] = this.cross[through];
  }

  /** @param {number[]} place in the frame */
  setCross(place) {
    if (!place.every(Number.isFinite)) return;
    this.cross = place.map((n, axis) => Math.min(this.half[axis] - 1e-3, Math.max(1e-3 - this.half[axis], n)));
    this.redraw();
  }

  get crossMm() {
    return apply(this.toMm, this.cross);
  }

  setCrossMm(mm) {
    this.setCross(apply(this.fromMm, mm));
  }

  keys(panel) {
    const [u, v] = this.planeOf(panel).axes;
    const by = (axis, mm) => () => this.setCross(this.cross.map((n, i) => n + (i === axis ? mm : 0)));
    return {
      ...super.keys(panel),
      ArrowLeft: by(u, -1),
      ArrowRight: by(u, 1),
      ArrowUp: by(v, -1),
      ArrowDown: by(v, 1),
      PageUp: () => this.leaf(-1, panel),
      PageDown: () => this.leaf(1, panel),
    };
  }

  keyed() {
    this.pointer = null; // values are those at the crosshair
  }

  get windowStep() {
    return this.range / 300;
  }

  /** The value of a layer at millimetres; null outside. */
  valueAt(name, mm) {
    const layer = this.layers.get(name);
    if (!layer) return null;
    const value = layer.volume.at(mm);
    const other = layer.minus ? layer.minus.at(mm) : 0;
    return value === null || other === null ? null : value - other;
  }

  value(name, panel) {
    const place = /** @type {any} */ (this.pointer) ?? this.cross;
    const value = this.valueAt(name, apply(this.toMm, place));
    if (value === null) return "outside";
    const sign = this.layers.get(name)?.minus && value > 0 ? "+" : "";
    return `${panel.sources.length > 1 ? `${name} ` : ""}${sign}${Number.isInteger(value) ? value : round(value)}${this.unit && ` ${this.unit}`}`;
  }

  paintSource(image, name, panel, density, from, to) {
    const layer = this.layers.get(name);
    if (!layer || to <= from) return;
    const [u, v] = this.planeOf(panel).axes;
    const step = 1 / (this.zoom * density);
    const corner = [...this.cross];
    corner[u] = this.centre[u] + (from + 0.5 - image.width / 2) * step;
    corner[v] = this.centre[v] + (0.5 - image.height / 2) * step;
    const along = (axis) => this.toMm.map((row) => row[axis] * step);
    const width = to - from;
    const values = (volume, smooth) => sampled(volume, apply(this.toMm, corner), along(u), along(v), width, image.height, smooth);
    const seen = values(layer.volume, this.smooth);
    if (layer.minus) {
      const other = values(layer.minus, this.smooth);
      for (let i = 0; i < seen.length; i++) seen[i] -= other[i];
    }
    paintValues(image, from, width, seen, this.shown, Boolean(layer.minus));
    const { spread } = this;
    if (spread && spread.opacity > 0 && name === spread.over) {
      paintOver(image, from, width, values(spread.volume, false), spread.low, spread.high, spread.opacity);
    }
  }

  annotate(context, panel, density) {
    const { axes: [u, v], edges } = this.planeOf(panel);
    const { width, height } = this.size;
    crosshair(context, this.onScreen({ x: this.cross[u], y: this.cross[v] }, panel), width, height, density);
    const places = [[12, height / 2], [width - 12, height / 2], [width / 2, 18], [width / 2, height - 8]];
    places.forEach(([x, y], i) => label(context, edges[i], x * density, y * density, density));
    ruler(context, this.zoom, height, density);
  }
}
