// What is drawn over pictures: names, a cross under the pointer, the crosshair, a ruler.

const YELLOW = "#ffd54a";

/** @typedef {CanvasRenderingContext2D} Context */

/** @param {Context} context @param {string} text @param {number} x @param {number} y @param {number} density @param {CanvasTextAlign} align */
export function label(context, text, x, y, density, align = "center") {
  context.font = `600 ${13 * density}px system-ui, sans-serif`;
  context.textAlign = align;
  context.lineWidth = 3 * density;
  context.strokeStyle = "#000";
  context.strokeText(text, x, y);
  context.fillStyle = YELLOW;
  context.fillText(text, x, y);
}

/** @param {Context} context @param {{ x: number, y: number }} at in CSS pixels @param {number} density */
export function mark(context, { x, y }, density) {
  lines(context, [[1, 0], [-1, 0], [0, 1], [0, -1]].map(([dx, dy]) => [x + dx * 4, y + dy * 4, x + dx * 10, y + dy * 10]), density);
}

/** Lines through a place, open in the middle. @param {Context} context @param {{ x: number, y: number }} at @param {number} width @param {number} height @param {number} density */
export function crosshair(context, { x, y }, width, height, density) {
  const gap = 12;
  lines(context, [[0, y, x - gap, y], [x + gap, y, width, y], [x, 0, x, y - gap], [x, y + gap, x, height]], density, 0.55);
}

/** A bar of a round number of millimetres. @param {Context} context @param {number} zoom CSS pixels of 1 mm */
export function ruler(context, zoom, height, density) {
  const mm = [1, 2, 5, 10, 20, 50, 100, 200].find((length) => length * zoom >= 60) ?? 500;
  const [x, y] = [12, height - 14];
  lines(context, [[x, y, x + mm * zoom, y], [x, y - 5, x, y + 5], [x + mm * zoom, y - 5, x + mm * zoom, y + 5]], density);
  label(context, `${mm} mm`, (x + (mm * zoom) / 2) * density, (y - 6) * density, density);
}

function lines(context, segments, density, opacity = 1) {
  context.globalAlpha = opacity;
  context.strokeStyle = YELLOW;
  context.lineWidth = density;
  context.beginPath();
  for (const [x0, y0, x1, y1] of segments) {
    context.moveTo(x0 * density, y0 * density);
    context.lineTo(x1 * density, y1 * density);
  }
  context.stroke();
  context.globalAlpha = 1;
}
