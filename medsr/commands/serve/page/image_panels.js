// Pictures of one input: where in them each panel looks, and which value lies under the pointer.

import { mark } from "./marks.js";
import { Panels } from "./panels.js";
import { draw } from "./picture.js";
import { round } from "./words.js";

const MOST_ZOOM = 64;

/** @typedef {import("./picture.js").Picture} Picture */

export class ImagePanels extends Panels {
  /** @type {Map<string, Picture>} */
  pictures = new Map();
  /** @type {Picture | null} */
  first = null;
  /** The middle, in pixels of the input, and CSS pixels for one of them. */
  view = { x: 0, y: 0, zoom: 1 };

  // A new input: everything begins anew.
  /** @param {string} name @param {Picture} picture */
  begin(name, picture) {
    this.pictures = new Map([[name, picture]]);
    this.first = picture;
    const { facts } = picture;
    const [low, high, darkest, brightest] = [facts.show_low, facts.show_high, facts.low, facts.high].map(picture.inUnits);
    const [least, most] = facts.unit ? picture.percentiles(0.005, 0.995) : [darkest, brightest]; // as scans of CT
    this.shown = { low, high, difference: (most - least || brightest - darkest) / 20 };
    this.layout([name]);
    this.fit();
  }

  // Pictures that came later, and what the panels show now.
  /** @param {Map<string, Picture>} pictures @param {string[]} chosen @param {boolean} divider */
  show(pictures, chosen, divider) {
    this.pictures = pictures;
    this.layout(chosen.filter((name) => pictures.has(name)), divider);
  }

  /** The picture that was chosen. */
  get input() {
    return /** @type {Picture} */ (this.first);
  }

  get empty() {
    return this.first === null;
  }

  get names() {
    return [...this.pictures.keys()];
  }

  get windowStep() {
    const { channels, facts, inUnits } = this.input;
    return channels === 1 ? (inUnits(facts.high) - inUnits(facts.low)) / 512 : null;
  }

  /** How many pixels of a picture are one of the input's. @param {Picture} picture */
  ratio(picture) {
    return picture.width / this.input.width;
  }

  viewOf(_panel) {
    return this.view;
  }

  get fittingZoom() {
    return Math.min(this.size.width / this.input.width, this.size.height / this.input.height);
  }

  fit() {
    this.view = { x: this.input.width / 2, y: this.input.height / 2, zoom: this.fittingZoom };
    this.fitted = true;
    this.redraw();
  }

  /**
   * A detail of a picture at 100 %, or larger where the whole of it is; none of a panel is left empty.
   * @param {Picture} picture @param {import("./panels.js").Place} at its middle, in the picture's pixels
   */
  showDetail(picture, { x, y }) {
    const ratio = this.ratio(picture);
    if (this.fittingZoom >= ratio) return this.fit();
    const within = (/** @type {number} */ at, /** @type {number} */ seen, /** @type {number} */ whole) => {
      const half = Math.min(seen / ratio, whole) / 2;
      return Math.min(whole - half, Math.max(half, at / ratio));
    };
    const { width, height } = this.size;
    this.view = { x: within(x, width, this.input.width), y: within(y, height, this.input.height), zoom: ratio };
    this.fitted = false;
    this.redraw();
  }

  /** @param {number} factor @param {import("./panels.js").Place | null} at */
  zoomBy(factor, at = null) {
    const { width, height } = this.size;
    const least = Math.min(1, this.fittingZoom) / 4;
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

  paintSource(image, name, _panel, density, from, to) {
    const picture = this.pictures.get(name);
    if (picture) draw(image, picture, { ...this.view, zoom: this.view.zoom * density }, this.ratio(picture), this.shown, from, to);
  }

  annotate(context, panel, density) {
    if (this.pointer) mark(context, this.onScreen(this.pointer, panel), density);
  }

  keyed() {
    this.pointer = { x: this.view.x, y: this.view.y };
  }

  value(name) {
    const picture = this.pictures.get(name);
    if (!picture || !this.pointer) return "";
    const ratio = this.ratio(picture);
    const x = Math.floor(this.pointer.x * ratio);
    const y = Math.floor(this.pointer.y * ratio);
    const values = picture.at(x, y);
    if (values === null) return "outside";
    const { unit } = picture.facts;
    const text = picture.isDifference ? values.map((v) => (v > 0 ? "+" : "") + v.toFixed(1)) : values.map(picture.inUnits).map(plain);
    return `(${x}, ${y}) ${text.join(" ")}${unit && ` ${unit}`}`;
  }
}

/** @param {number} value */
const plain = (value) => (Number.isInteger(value) ? String(value) : round(value));
