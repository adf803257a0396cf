// A job: what is asked for, how far it is, and its end.

import * as api from "./api.js";
import { $, canRun, choice, complain, enableRun, input, say } from "./dom.js";
import { BASELINE } from "./models.js";
import { present } from "./results.js";
import { isCurrent, state } from "./state.js";
import { attempt, send, transfer } from "./uploads.js";
import { clock } from "./words.js";

const POLL = 500; // ms
const PATIENCE = 60; // polls without an answer

/** @param {Kind} kind @returns {Promise<{ current: boolean, problem: api.Problem | null, ended: Job | null }>} */
export async function run(kind) {
  if (!canRun()) return { current: false, problem: null, ended: null };
  complain(null);
  const turn = ++state.turn;
  enableRun(false);
  /** @type {Job | null} */
  let ended = null;
  const outcome = await attempt(turn, async () => {
    if (!state.uploaded && !(await send(turn))) return;
    const request = kind === "image" ? await imageRequest(turn) : volumeRequest();
    if (!isCurrent(turn)) return;
    const before = state.job;
    state.job = /** @type {Job} */ (await api.post(`/api/jobs/${kind}`, request));
    if (!isCurrent(turn)) return dropJob();
    ended = await end(state.job, turn);
    if (!ended || !isCurrent(turn)) return;
    await present(ended, turn);
    if (before) api.remove(`/api/jobs/${before.id}`).catch(() => {}); // its results were there until now
  });
  if (isCurrent(turn)) {
    enableRun(true);
    $("work").hidden = true;
    $("status").classList.remove("hidden");
  }
  return { ...outcome, ended };
}

export function dropJob() {
  const { job } = state;
  state.job = null;
  $("work").hidden = true;
  $("status").classList.remove("hidden");
  enableRun(true);
  if (job) api.remove(`/api/jobs/${job.id}`).catch(() => {}); // it may have gone by itself
}

const fileId = () => /** @type {Upload} */ (state.uploaded).id;

/** @param {number} turn */
async function imageRequest(turn) {
  const models = [...new Set([BASELINE, choice("image-model").value, choice("image-second").value].filter(Boolean))];
  const outscale = input("outscale").value ? Number(input("outscale").value) : null;
  const { truth } = state;
  if (truth && !truth.uploaded) truth.uploaded = await transfer(truth.file, null, turn);
  if (!isCurrent(turn)) return null;
  return { file: fileId(), models, outscale, ground_truth: truth?.uploaded ? truth.uploaded.id : null };
}

function volumeRequest() {
  const finer = choice("finer").value;
  const value = Number(input("finer-value").value);
  return {
    file: fileId(),
    model: choice("volume-model").value,
    scale: finer === "scale" ? value : null,
    spacing: finer === "spacing" ? value : null,
    uncertainty: input("uncertainty").checked && !$("uncertainty-line").hidden,
  };
}

/**
 * Wait for the end of a job. Returns it, or null where it was cancelled or the user began something else.
 * @param {Job} job @param {number} turn
 */
async function end(job, turn) {
  $("work").hidden = false;
  $("status").classList.add("hidden"); // the progress bar says it to the eyes
  $("progress").removeAttribute("value");
  addEventListener("beforeunload", askBeforeLeaving);
  try {
    return await followed(job, turn);
  } finally {
    removeEventListener("beforeunload", askBeforeLeaving);
  }
}

/** A page that is loaded anew knows nothing of the job. @param {BeforeUnloadEvent} event */
const askBeforeLeaving = (event) => event.preventDefault();

/** @param {Job} job @param {number} turn */
async function followed(job, turn) {
  let failures = 0;
  while (isCurrent(turn)) {
    /** @type {Job} */
    let now;
    try {
      now = await api.get(`/api/jobs/${job.id}`);
      failures = 0;
    } catch (error) {
      if (/** @type {api.Problem} */ (error).status !== 0 || ++failures > PATIENCE) throw error;
      say("The server cannot be reached; trying again");
      await pause();
      continue;
    }
    if (!isCurrent(turn)) return null;
    if (now.state === "done") return now;
    if (now.state === "failed") throw new api.Problem(now.error ?? "The job failed.", 422);
    if (now.state === "cancelled") {
      say("Cancelled.");
      return null;
    }
    showProgress(now);
    await pause();
  }
  return null;
}

const pause = () => new Promise((resolve) => setTimeout(resolve, POLL));

/** @param {Job} job */
function showProgress(job) {
  if (job.state === "waiting") {
    $("work-label").textContent = `Waiting: your place is ${job.place}`;
    say(`Waiting: your place is ${job.place}`);
    return;
  }
  const left = job.seconds_left === null ? "" : `, about ${clock(job.seconds_left)} left`;
  const doing = job.doing ? ` (${job.doing})` : "";
  $("work-label").textContent = `${Math.round(job.progress * 100)} %${left}${doing}`;
  input("progress").value = String(job.progress);
  say(`Working: ${Math.floor(job.progress * 10) * 10} %`); // spoken: not every percent
}
