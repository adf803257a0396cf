// Drawing a plane of a scan at any zoom: every pixel of the screen is looked up in the voxels themselves.

import { apply } from "./nifti.js";
import { toDifference } from "./picture.js";

/** @typedef {{ volume: import("./nifti.js").Volume, minus?: import("./nifti.js").Volume }} Layer */
/** @typedef {{ low: number, high: number, difference: number }} Shown */

const OUTSIDE = NaN;

/**
 * The values along a plane, row by row. `start`: the first pixel's place in mm; `across` and `down`: mm from one to the next.
 * @param {import("./nifti.js").Volume} volume @param {number[]} start @param {number[]} across @param {number[]} down
 * @param {number} width @param {number} height @param {boolean} smooth linear between voxels
 */
export function sampled({ inverse, shape, values, slope, intercept }, start, across, down, width, height, smooth) {
  const linear = inverse.map((row) => [...row.slice(0, 3), 0]);
  const [p, dx, dy] = [apply(inverse, start), apply(linear, across), apply(linear, down)];
  const [nx, ny, nz] = shape;
  const out = new Float32Array(width * height).fill(OUTSIDE);
  const clamp = (n, most) => (n < 0 ? 0 : n > most ? most : n);
  for (let y = 0, n = 0; y < height; y++) {
    for (let x = 0; x < width; x++, n++) {
      const a = p[0] + dx[0] * x + dy[0] * y;
      const b = p[1] + dx[1] * x + dy[1] * y;
      const c = p[2] + dx[2] * x + dy[2] * y;
      const i = Math.floor(a + 0.5 + 1e-4), j = Math.floor(b + 0.5 + 1e-4), k = Math.floor(c + 0.5 + 1e-4);
      if (i < 0 || j < 0 || k < 0 || i >= nx || j >= ny || k >= nz) continue;
      if (!smooth) {
        out[n] = values[i + nx * (j + ny * k)] * slope + intercept;
        continue;
      }
      const [u, v, w] = [clamp(a, nx - 1), clamp(b, ny - 1), clamp(c, nz - 1)];
      const [u0, v0, w0] = [Math.floor(u), Math.floor(v), Math.floor(w)];
      const ux = u0 < nx - 1 ? 1 : 0, vx = v0 < ny - 1 ? nx : 0, wx = w0 < nz - 1 ? nx * ny : 0;
      const f = u - u0, g = v - v0, h = w - w0;
      const o = u0 + nx * (v0 + ny * w0);
      const row = (at) => values[at] * (1 - f) + values[at + ux] * f;
      const near = row(o) * (1 - g) + row(o + vx) * g;
      out[n] = (near * (1 - h) + (row(o + wx) * (1 - g) + row(o + wx + vx) * g) * h) * slope + intercept;
    }
  }
  return out;
}

/**
 * Values to the pixels of `out`, from column `from` on; beyond the box it stays black.
 * @param {ImageData} out @param {number} from @param {number} width @param {Float32Array} values
 * @param {Shown} shown @param {boolean} isDifference
 */
export function paintValues(out, from, width, values, shown, isDifference) {
  const pixels = out.data;
  const span = Math.max(shown.high - shown.low, 1e-9);
  for (let y = 0, n = 0; y < out.height; y++) {
    for (let x = 0; x < width; x++, n++) {
      const i = (y * out.width + from + x) * 4;
      const value = values[n];
      pixels[i + 3] = 255;
      if (value !== value) continue; // outside
      if (isDifference) toDifference(pixels, i, value / shown.difference);
      else pixels[i] = pixels[i + 1] = pixels[i + 2] = Math.max(0, Math.min(255, (255 * (value - shown.low)) / span));
    }
  }
}

/**
 * The uncertainty over what is painted: from nothing at `low` to yellow at `high`.
 * @param {ImageData} out @param {number} from @param {number} width @param {Float32Array} values
 * @param {number} low @param {number} high @param {number} opacity
 */
export function paintOver(out, from, width, values, low, high, opacity) {
  const pixels = out.data;
  for (let y = 0, n = 0; y < out.height; y++) {
    for (let x = 0; x < width; x++, n++) {
      const share = Math.min(1, (values[n] - low) / (high - low));
      if (!(share > 0)) continue;
      const i = (y * out.width + from + x) * 4;
      const part = opacity * (0.35 + 0.65 * share);
      [255, 60 + 160 * share, 0].forEach((colour, c) => (pixels[i + c] += (colour - pixels[i + c]) * part));
    }
  }
}
