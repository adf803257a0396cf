// What the page says, and where: elements by name, numbers and sizes in words.

import { Problem } from "./api.js";

export const $ = (id) => document.getElementById(id);
export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export function say(text) {
  if ($("status").textContent !== text) $("status").textContent = text;
}

export function complain(error) {
  say("");
  $("message").textContent = error ? error.message ?? String(error) : "";
  if (error && !(error instanceof Problem)) console.error(error);
}

export function clock(seconds) {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  return `${Math.round(seconds / 60)} min`;
}

export function size(bytes) {
  return bytes < 1e6 ? `${Math.max(1, Math.round(bytes / 1e3))} kB` : `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
}

export function grid({ shape, spacing }) {
  return `${shape.slice(0, 3).join(" × ")} voxels of ${spacing.map((step) => +step.toFixed(3)).join(" × ")} mm`;
}

export function list(place, lines) {
  place.replaceChildren(...lines.map((line) => Object.assign(document.createElement("li"), { textContent: line })));
}

export function element(name, text, properties = {}) {
  return Object.assign(document.createElement(name), { textContent: text, ...properties });
}

export function worded(value, spread) {
  if (value === null) return "outside";
  const unsure = spread === null ? "" : `, uncertainty ${round(spread)}`;
  return `value ${Number.isInteger(value) ? value : round(value)}${unsure}`;
}

export function round(value) {
  return String(+value.toPrecision(4));
}

// Not while somebody is typing there.
export function set(input, value) {
  if (document.activeElement !== input || input.type === "range") input.value = value;
}
