// A picture as stored values, and drawing a part of it at any zoom. What is seen is computed from the values
// themselves for every pixel of the screen: no image format, no colour management, no interpolation in between.

const ARRAYS = { uint8: Uint8Array, int8: Int8Array, uint16: Uint16Array, int16: Int16Array };

export class Picture {
  isDifference = false;

  /**
   * @param {any} values a typed array: row by row, channels last
   * @param {number} width @param {number} height @param {number} channels
   * @param {ImageFacts} facts what its stored values mean
   */
  constructor(values, width, height, channels, facts) {
    this.facts = facts;
    this.levels = [{ values, width, height }];
    this.channels = channels;
  }

  /** What a stored value means, in the file's unit: Hounsfield for CT. @param {number} stored */
  inUnits = (stored) => stored * this.facts.slope + this.facts.intercept;

  /** @param {ArrayBuffer} buffer @param {Pixels} pixels @param {ImageFacts} facts */
  static read(buffer, pixels, facts) {
    const values = new ARRAYS[pixels.dtype](buffer);
    if (values.length !== pixels.width * pixels.height * pixels.channels) throw new Error("not the size it should be");
    return new Picture(values, pixels.width, pixels.height, pixels.channels, facts);
  }

  get width() {
    return this.levels[0].width;
  }

  get height() {
    return this.levels[0].height;
  }

  at(x, y) {
    if (x < 0 || y < 0 || x >= this.width || y >= this.height) return null;
    const start = (y * this.width + x) * this.channels;
    return Array.from(this.levels[0].values.subarray(start, start + this.channels));
  }

  get last() {
    return this.levels[this.levels.length - 1];
  }

  // The reduced copy in which one pixel of the screen meets one to two of the picture: nothing is left out.
  level(step) {
    const wanted = Math.max(0, Math.floor(Math.log2(Math.max(step, 1))));
    while (this.levels.length <= wanted && Math.min(this.last.width, this.last.height) > 1) {
      this.levels.push(halved(this.last, this.channels));
    }
    return this.levels[Math.min(wanted, this.levels.length - 1)];
  }

  /** In the file's unit. @param {number} low @param {number} high @returns {[number, number]} */
  percentiles(low, high) {
    const { values } = this.levels[0];
    const stride = Math.max(1, Math.floor(values.length / 200000));
    const sample = [];
    for (let i = 0; i < values.length; i += stride) sample.push(values[i]);
    sample.sort((a, b) => a - b);
    const pick = (share) => this.inUnits(sample[Math.min(sample.length - 1, Math.round(share * (sample.length - 1)))]);
    return [pick(low), pick(high)];
  }
}

function halved({ values, width, height }, channels) {
  const w = Math.max(1, width >> 1);
  const h = Math.max(1, height >> 1);
  const result = new values.constructor(w * h * channels);
  const whole = !(values instanceof Float32Array);
  const right = width > 1 ? channels : 0;
  const below = height > 1 ? width * channels : 0;
  for (let y = 0; y < h; y++) {
    for (let x = 0; x < w; x++) {
      const from = (y * (height > 1 ? 2 : 1) * width + x * (width > 1 ? 2 : 1)) * channels;
      for (let c = 0; c < channels; c++) {
        const i = from + c;
        const mean = (values[i] + values[i + right] + values[i + below] + values[i + right + below]) / 4;
        result[(y * w + x) * channels + c] = whole ? Math.round(mean) : mean;
      }
    }
  }
  return { values: result, width: w, height: h };
}

// Stored values to grey: what means `low` black, `high` white (the other way round where the lowest value is the brightest).
function greys({ facts, inUnits }, low, high) {
  const offset = facts.dtype.startsWith("int") ? 32768 : 0;
  const table = new Uint8ClampedArray(65536);
  const span = Math.max(high - low, 1e-9);
  for (let i = 0; i < table.length; i++) {
    const share = (inUnits(i - offset) - low) / span;
    table[i] = 255 * (facts.inverted ? 1 - share : share);
  }
  return { table, offset };
}

// Where a row or column of the screen lies in the picture; -1 outside of it.
function places(count, start, step, length) {
  const result = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    const place = Math.floor(start + (i + 0.5) * step);
    result[i] = place >= 0 && place < length ? place : -1;
  }
  return result;
}

// Draw into `out` (ImageData) from column `from` to column `to`. `view`: { x, y } is the middle and `zoom` screen pixels for
// one pixel of the input; `ratio`: how many of the picture's pixels are one of the input's.
export function draw(out, picture, view, ratio, shown, from = 0, to = out.width) {
  const step = ratio / view.zoom;
  const { values, width, height } = picture.level(step);
  const shrunk = width / picture.width;
  const tall = height / picture.height;
  const xs = places(out.width, (view.x * ratio - (out.width / 2) * step) * shrunk, step * shrunk, width);
  const ys = places(out.height, (view.y * ratio - (out.height / 2) * step) * tall, step * tall, height);
  const paint = painter(picture, values, shown);
  const pixels = out.data;
  for (let y = 0; y < out.height; y++) {
    for (let x = from; x < to; x++) {
      const i = (y * out.width + x) * 4;
      if (xs[x] < 0 || ys[y] < 0) {
        pixels[i] = pixels[i + 1] = pixels[i + 2] = 0;
      } else {
        paint(pixels, i, (ys[y] * width + xs[x]) * picture.channels);
      }
      pixels[i + 3] = 255;
    }
  }
}

function painter(picture, values, shown) {
  if (picture.isDifference) {
    const range = Math.max(shown.difference, 1e-9) * (picture.facts.inverted ? -1 : 1);
    return (pixels, i, from) => toDifference(pixels, i, values[from] / range);
  }
  if (picture.channels === 3) {
    const scale = picture.facts.high > 255 ? 255 / picture.facts.high : 1;
    return (pixels, i, from) => {
      pixels[i] = values[from] * scale;
      pixels[i + 1] = values[from + 1] * scale;
      pixels[i + 2] = values[from + 2] * scale;
    };
  }
  const { table, offset } = greys(picture, shown.low, shown.high);
  return (pixels, i, from) => {
    pixels[i] = pixels[i + 1] = pixels[i + 2] = table[values[from] + offset];
  };
}

/** Orange where it is brighter, blue where darker: told apart by colour-blind eyes too. `share`: 1 is the full colour. */
export function toDifference(pixels, i, share) {
  const d = Math.max(-1, Math.min(1, share));
  pixels[i] = d > 0 ? 30 + 225 * d : 30 + 30 * d;
  pixels[i + 1] = 30 + 120 * Math.abs(d);
  pixels[i + 2] = d < 0 ? 30 - 225 * d : 30 - 30 * d;
}
