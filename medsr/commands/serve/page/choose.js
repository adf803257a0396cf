// A file is chosen: it is sent, and what it is is said and shown.

import { $, choice, complain, input, list, say } from "./dom.js";
import { beginImage } from "./image_view.js";
import { dropJob } from "./jobs.js";
import { meet, suggest } from "./models.js";
import { beginScan } from "./scan_view.js";
import { isCurrent, state } from "./state.js";
import { attempt, forget, send } from "./uploads.js";
import { grid, size } from "./words.js";

const DEPTHS = { uint8: "8 bits", int8: "8 bits, signed", uint16: "16 bits", int16: "16 bits, signed" };

/** @param {File | (() => Promise<File>)} source a file, or what makes one */
export async function choose(source) {
  complain(null);
  const turn = ++state.turn;
  dropJob();
  forget(state.uploaded);
  forget(state.truth?.uploaded);
  Object.assign(state, { chosen: null, uploaded: null, series: null, truth: null });
  input("truth").value = "";
  for (const id of ["facts", "series-form", "image-form", "volume-form", "results", "images", "scans"]) $(id).hidden = true;
  $("empty").hidden = false;
  return sendAndShow(turn, source);
}

/** @param {number} series which of a zip's, from 1 */
export async function chooseSeries(series) {
  const turn = ++state.turn;
  state.series = series;
  $("series-form").hidden = true;
  complain(null);
  await sendAndShow(turn);
}

/** @param {number} turn @param {File | (() => Promise<File>)} [source] where another than before is chosen */
function sendAndShow(turn, source) {
  return attempt(turn, async () => {
    if (source) {
      if (!(source instanceof File)) say("Reading the files");
      const file = source instanceof File ? source : await source();
      if (!isCurrent(turn)) return;
      state.chosen = file;
    }
    if (await send(turn)) await introduce(/** @type {Upload} */ (state.uploaded), turn);
  });
}

/** @param {Upload} upload @param {number} turn */
async function introduce(upload, turn) {
  meet(upload.facts);
  explain();
  $("facts-name").textContent = upload.name;
  $("facts").hidden = false;
  $("accepted").hidden = true;
  $("empty").hidden = true;
  $(`${upload.facts.kind}-form`).hidden = false;
  if (upload.facts.kind === "volume") choice("finer").options[0].textContent = automatically(upload.facts);
  if (upload.pixels) await beginImage(upload, turn);
  else await beginScan(upload, turn);
  if (isCurrent(turn)) say(`${upload.name} is ready.`);
}

/** What is known of the upload, and why that model is chosen. */
export function explain() {
  const { uploaded } = state;
  if (!uploaded) return;
  const { facts } = uploaded;
  const lines = [`${facts.format}, ${size(uploaded.bytes)}`, ...(facts.kind === "image" ? ofImage(facts) : ofScan(facts))];
  list($("facts-list"), [...lines, suggest(), ...facts.notes].filter(Boolean));
}

/** @param {ImageFacts} facts */
function ofImage(facts) {
  const lines = [`${facts.width} × ${facts.height} pixels, ${facts.channels === 3 ? "colour" : "grey"}, ${DEPTHS[facts.dtype]}`];
  if (facts.channels === 1) lines.push(meaning(facts));
  return [...lines, inHeader(facts)];
}

/** The values that a model takes as black and white; those beyond are kept, too. @param {ImageFacts} facts */
function meaning({ low, high, inverted, slope, intercept, unit }) {
  if (unit) return `values in ${unit}; a model takes ${low * slope + intercept} as black and ${high * slope + intercept} as white`;
  return `${inverted ? "white to black" : "black to white"}: ${low} to ${high}`;
}

/** @param {VolumeFacts} facts */
function ofScan(facts) {
  const lines = [grid(facts), `${facts.dtype}${facts.modality && !facts.header ? `, ${facts.modality}` : ""}`];
  if (facts.series) lines.push(facts.series);
  lines.push(inHeader(facts));
  if (facts.finer) lines.push(`${automatically(facts)}: ${grid(facts.finer)}`);
  return lines;
}

/** Never what somebody typed there: it may name a person. @param {Facts} facts */
const inHeader = ({ header }) => header && `its header says: ${header}`;

/** What is made unless the user says otherwise. Scans without a coarser axis get twice as many voxels along each. @param {VolumeFacts} facts */
function automatically(facts) {
  const halved = facts.finer && Math.min(...facts.finer.spacing) < 0.9 * Math.min(...facts.spacing);
  return halved ? "twice as fine along every axis" : "as fine as its finest axis";
}
