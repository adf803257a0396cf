// What one picture has more or less than another, and where most.

import { Picture } from "./picture.js";

const PART = 32; // pixels: the side of the parts that are compared

/** The mean over channels of `one` minus `other`, in the file's unit; both of one size. @param {Picture} one @param {Picture} other */
export function difference(one, other) {
  const a = one.levels[0].values;
  const b = other.levels[0].values;
  const n = one.channels;
  const values = new Float32Array(one.width * one.height);
  for (let i = 0; i < values.length; i++) {
    let sum = 0;
    for (let c = 0; c < n; c++) sum += a[i * n + c] - b[i * n + c];
    values[i] = (sum * one.facts.slope) / n;
  }
  const picture = new Picture(values, one.width, one.height, 1, one.facts);
  picture.isDifference = true;
  return picture;
}

/** The middle of the part of a difference that is largest, in its pixels. @param {Picture} picture */
export function mostDifferent({ levels: [{ values, width, height }] }) {
  let most = -1;
  let best = { x: width / 2, y: height / 2 };
  for (let top = 0; top < height; top += PART) {
    for (let left = 0; left < width; left += PART) {
      const [bottom, right] = [Math.min(height, top + PART), Math.min(width, left + PART)];
      let sum = 0;
      for (let y = top; y < bottom; y++) for (let x = left; x < right; x++) sum += Math.abs(values[y * width + x]);
      if (sum > most) [most, best] = [sum, { x: (left + right) / 2, y: (top + bottom) / 2 }];
    }
  }
  return best;
}
