// The page's elements, and what it says in them.

import { Problem } from "./api.js";

/** @param {string} id @returns {HTMLElement} */
export const $ = (id) => /** @type {HTMLElement} */ (document.getElementById(id));
/** @param {string} id */
export const input = (id) => /** @type {HTMLInputElement} */ ($(id));
/** @param {string} id */
export const choice = (id) => /** @type {HTMLSelectElement} */ ($(id));

/** @param {string} id @param {string} event @param {(event: any) => void} action */
export const on = (id, event, action) => $(id).addEventListener(event, action);

/** @param {string} text */
export function say(text) {
  if ($("status").textContent !== text) $("status").textContent = text;
}

/** @param {any} error null: there is nothing to complain about any more */
export function complain(error) {
  say("");
  $("message").textContent = error ? error.message ?? String(error) : "";
  if (error && !(error instanceof Problem)) console.error(error);
}

/** @param {HTMLElement} place @param {string[]} lines */
export function list(place, lines) {
  place.replaceChildren(...lines.map((line) => element("li", line)));
}

/**
 * @template {keyof HTMLElementTagNameMap} N
 * @param {N} name @param {string} text @param {object} properties
 */
export function element(name, text, properties = {}) {
  return Object.assign(document.createElement(name), { textContent: text, ...properties });
}

/** Not while somebody is typing there. @param {string} id @param {string | number} value */
export function set(id, value) {
  const field = input(id);
  if (document.activeElement !== field || field.type === "range") field.value = String(value);
}

/** @returns {HTMLButtonElement[]} */
const runButtons = () => [...document.querySelectorAll("#controls button.main")].map((button) => /** @type {any} */ (button));

/** Not `disabled`: that would take the keyboard's focus away from them. @param {boolean} possible */
export function enableRun(possible) {
  for (const button of runButtons()) button.setAttribute("aria-disabled", String(!possible));
}

export const canRun = () => runButtons()[0].getAttribute("aria-disabled") !== "true";
