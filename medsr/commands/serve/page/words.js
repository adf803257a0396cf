// Numbers, times and sizes in words.

/** @param {number} seconds */
export function clock(seconds) {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  return `${Math.round(seconds / 60)} min`;
}

/** @param {number} bytes */
export function size(bytes) {
  return bytes < 1e6 ? `${Math.max(1, Math.round(bytes / 1e3))} kB` : `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
}

/** @param {VoxelGrid} grid */
export function grid({ shape, spacing }) {
  return `${shape.slice(0, 3).join(" × ")} voxels of ${spacing.map((step) => +step.toFixed(3)).join(" × ")} mm`;
}

/** @param {number | null} value @param {number | null} spread @param {string} unit of both */
export function worded(value, spread, unit) {
  if (value === null) return "outside";
  const behind = unit && ` ${unit}`;
  const unsure = spread === null ? "" : `, uncertainty ${round(spread)}${behind}`;
  return `value ${Number.isInteger(value) ? value : round(value)}${behind}${unsure}`;
}

/** @param {number} value */
export function round(value) {
  return String(+value.toPrecision(4));
}
