// A scan as the server lays it out for the page: plain NIfTI-1, one volume, little-endian.

/** @type {Record<number, any>} */
const ARRAYS = { 2: Uint8Array, 4: Int16Array, 8: Int32Array, 16: Float32Array, 64: Float64Array, 512: Uint16Array };

/** Three rows of four: a linear map of points, and what is added. @typedef {number[][]} Affine */

export class Volume {
  /** @param {ArrayBuffer} buffer */
  constructor(buffer) {
    const header = new DataView(buffer, 0, 348);
    if (header.getInt32(0, true) !== 348) throw new Error("not what the server should send");
    this.shape = [1, 2, 3].map((axis) => header.getInt16(40 + 2 * axis, true));
    const size = this.shape[0] * this.shape[1] * this.shape[2];
    const Values = ARRAYS[header.getInt16(70, true)];
    this.values = new Values(buffer, header.getFloat32(108, true), size);
    this.slope = header.getFloat32(112, true) || 1;
    this.intercept = header.getFloat32(116, true) || 0;
    /** @type {Affine} voxel to millimetres, right, front and up */
    this.affine = [0, 1, 2].map((row) => [0, 1, 2, 3].map((column) => header.getFloat32(280 + 16 * row + 4 * column, true)));
    this.inverse = inverse(this.affine);
  }

  get spacing() {
    return [0, 1, 2].map((axis) => Math.hypot(...this.affine.map((row) => row[axis])));
  }

  /** The 0.5 and 99.5 percentile. @returns {[number, number]} */
  percentiles() {
    const stride = Math.max(1, Math.floor(this.values.length / 200000));
    const sample = [];
    for (let i = 0; i < this.values.length; i += stride) sample.push(this.values[i] * this.slope + this.intercept);
    sample.sort((a, b) => a - b);
    const pick = (share) => sample[Math.round(share * (sample.length - 1))];
    return [pick(0.005), pick(0.995)];
  }

  /** The value of the voxel that millimetres lie in; null outside. @param {number[]} mm */
  at(mm) {
    const [i, j, k] = apply(this.inverse, mm).map((place) => Math.floor(place + 0.5 + 1e-4));
    const [nx, ny, nz] = this.shape;
    if (i < 0 || j < 0 || k < 0 || i >= nx || j >= ny || k >= nz) return null;
    return this.values[i + nx * (j + ny * k)] * this.slope + this.intercept;
  }
}

/** @param {Affine} affine @param {number[]} point */
export const apply = (affine, point) => affine.map((row) => row[0] * point[0] + row[1] * point[1] + row[2] * point[2] + row[3]);

/** @param {Affine} affine @returns {Affine} */
export function inverse([a, b, c]) {
  const cross = (p, q) => [p[1] * q[2] - p[2] * q[1], p[2] * q[0] - p[0] * q[2], p[0] * q[1] - p[1] * q[0]];
  const columns = [cross(b, c), cross(c, a), cross(a, b)];
  const size = a[0] * columns[0][0] + a[1] * columns[0][1] + a[2] * columns[0][2];
  return [0, 1, 2].map((i) => {
    const row = columns.map((column) => column[i] / size);
    return [...row, -(row[0] * a[3] + row[1] * b[3] + row[2] * c[3])];
  });
}

/**
 * How a scan is looked at: along its own axes, in millimetres from its middle towards left, back and down.
 * @param {Volume} volume @returns {{ toMm: Affine, half: number[] }} `half`: from the middle to the edge of the box
 */
export function frameOf({ affine, shape, spacing }) {
  const taken = new Set();
  const middle = apply(affine, shape.map((n) => (n - 1) / 2));
  /** @type {number[][]} */
  const directions = [];
  const half = [0, 1, 2].map((world) => {
    const free = [0, 1, 2].filter((axis) => !taken.has(axis));
    const nearest = free.reduce((best, axis) => (share(axis, world) > share(best, world) ? axis : best));
    taken.add(nearest);
    const sign = affine[world][nearest] > 0 ? -1 : 1; // left, back and down
    directions.push(affine.map((row) => (sign * row[nearest]) / spacing[nearest]));
    return (shape[nearest] * spacing[nearest]) / 2;
  });
  function share(axis, world) {
    return Math.abs(affine[world][axis]) / spacing[axis];
  }
  return { toMm: [0, 1, 2].map((row) => [...directions.map((direction) => direction[row]), middle[row]]), half };
}
