// The list of several files: one click shows one, and all can be run, one after the other.

import * as api from "./api.js";
import { choose } from "./choose.js";
import { $, canRun, element, list, on, say } from "./dom.js";
import { run } from "./jobs.js";
import { BASELINE } from "./models.js";
import { isCurrent, state } from "./state.js";

/**
 * A line of the list. `results`: the finished files, kept by the browser.
 * @typedef {{ entry: import("./gather.js").Entry, name: HTMLButtonElement, how: HTMLElement, results: HTMLElement, done: boolean }} Line
 */
/** @type {Line[]} */
let lines = [];

export function hideList() {
  for (const link of /** @type {NodeListOf<HTMLAnchorElement>} */ (document.querySelectorAll("#several-list a"))) URL.revokeObjectURL(link.href);
  lines = [];
  $("several").hidden = true;
}

/** @param {import("./gather.js").Entry[]} entries @param {string[]} left names of files that are not listed */
export async function listFiles(entries, left) {
  lines = entries.map(lineOf);
  $("several-title").textContent = entries.length === 1 ? "1 image or scan" : `${entries.length} images and scans`;
  $("several-list").replaceChildren(...lines.map(({ name, how, results }) => {
    const item = element("li", "");
    item.append(name, how, results);
    return item;
  }));
  list($("several-left"), left.length ? [`Not listed, as the system or an archive keeps it for itself: ${left.join(", ")}`] : []);
  $("several").hidden = entries.length === 1 && !left.length;
  $("run-all").hidden = $("run-all-about").hidden = entries.length === 1;
  await show(lines[0]);
}

/** @param {import("./gather.js").Entry} entry @returns {Line} */
function lineOf(entry) {
  const line = {
    entry,
    name: element("button", entry.name, { type: "button" }),
    how: element("span", "", { className: "small" }),
    results: element("span", ""),
    done: false,
  };
  line.name.addEventListener("click", () => show(line));
  return line;
}

/** @param {Line} line */
async function show(line) {
  for (const other of lines) other.name.removeAttribute("aria-current");
  line.name.setAttribute("aria-current", "true");
  const outcome = await choose(line.entry.file);
  if (outcome.problem) line.how.textContent = outcome.problem.message;
  else if (!line.done) line.how.textContent = "";
  return outcome;
}

/** Between two jobs, too. @param {BeforeUnloadEvent} event */
const askBeforeLeaving = (event) => event.preventDefault();

/** Each in its turn, as the forms say; ends where the user begins something else. What failed is tried again. */
async function runAll() {
  if (!canRun()) return;
  addEventListener("beforeunload", askBeforeLeaving);
  try {
    for (const line of lines.filter(({ done }) => !done)) {
      if (!(await work(line))) return;
    }
    say(`${lines.filter(({ done }) => done).length} of ${lines.length} done: their results are in the list.`);
  } finally {
    removeEventListener("beforeunload", askBeforeLeaving);
  }
}

/** Whether to go on. @param {Line} line */
async function work(line) {
  line.how.textContent = "working";
  const chosen = await show(line);
  if (!chosen.current) return stop(line);
  if (chosen.problem || !state.uploaded) return true; // its line says what is wrong
  line.how.textContent = "working";
  const { current, problem, ended } = await run(state.uploaded.facts.kind);
  if (!current) return stop(line);
  if (problem || !ended) line.how.textContent = problem?.message ?? "cancelled";
  else return keep(line, ended);
  return true;
}

/** @param {Line} line */
function stop(line) {
  if (!line.done) line.how.textContent = "stopped";
  return false;
}

/** The browser keeps the files: the server forgets them when the next is chosen. @param {Line} line @param {Job} job */
async function keep(line, job) {
  const { turn } = state;
  const images = job.images.filter(({ model }, _, all) => model !== BASELINE || all.length === 1);
  const volume = job.volume ? [job.volume] : [];
  try {
    line.results.replaceChildren(...(await Promise.all([...images, ...volume].map(link))));
    Object.assign(line, { done: true }).how.textContent = "done";
  } catch (error) {
    line.how.textContent = /** @type {Error} */ (error).message;
  }
  return isCurrent(turn);
}

/** @param {{ download: string, file_name: string }} result */
async function link({ download, file_name: name }) {
  const href = URL.createObjectURL(new Blob([await api.bytes(download)]));
  return element("a", `Download ${name}`, { href, download: name });
}

export const listenToList = () => on("run-all", "click", runAll);
