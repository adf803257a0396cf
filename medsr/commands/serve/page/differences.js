// What one picture has more or less than another, and where most.

import { Picture } from "./picture.js";

const PART = 32; // pixels: the side of the parts that are compared
const DARK = 0.06; // of the range: what lies around a fundus, or beside what was exposed
const DARK_SHARE = 0.05; // of a part

/** The mean over channels of `picture` minus `reference`, in the file's unit; both of one size. @param {Picture} picture @param {Picture} reference */
export function difference(picture, reference) {
  const values = picture.levels[0].values;
  const subtracted = reference.levels[0].values;
  const { width, height, channels, facts } = picture;
  const means = new Float32Array(width * height);
  for (let i = 0; i < means.length; i++) {
    let sum = 0;
    for (let c = 0; c < channels; c++) sum += values[i * channels + c] - subtracted[i * channels + c];
    means[i] = (sum * facts.slope) / channels;
  }
  const result = new Picture(means, width, height, 1, facts);
  result.isDifference = true;
  return result;
}

/**
 * The middle of the part where a picture differs most from another, in its pixels. Parts in the dark around what is shown,
 * and on its edge, count only where there are no others.
 * @param {Picture} minus the difference @param {Picture} picture
 */
export function mostDifferent({ levels: [{ values, width, height }] }, picture) {
  let best = { x: width / 2, y: height / 2, sum: -1, lit: false };
  for (let top = 0; top < height; top += PART) {
    for (let left = 0; left < width; left += PART) {
      const [bottom, right] = [Math.min(height, top + PART), Math.min(width, left + PART)];
      let [sum, dark] = [0, 0];
      for (let i = top; i < bottom; i++) {
        for (let n = i * width + left; n < i * width + right; n++) {
          sum += Math.abs(values[n]);
          if (isDark(picture, n)) dark++;
        }
      }
      const lit = dark < DARK_SHARE * (bottom - top) * (right - left);
      if (lit === best.lit ? sum > best.sum : lit) best = { x: (left + right) / 2, y: (top + bottom) / 2, sum, lit };
    }
  }
  return { x: best.x, y: best.y };
}

/** @param {Picture} picture @param {number} n of a pixel */
function isDark({ levels: [{ values }], channels, facts: { low, high, inverted } }, n) {
  let most = 0;
  for (let c = 0; c < channels; c++) {
    const share = (values[n * channels + c] - low) / (high - low);
    most = Math.max(most, inverted ? 1 - share : share);
  }
  return most < DARK;
}
