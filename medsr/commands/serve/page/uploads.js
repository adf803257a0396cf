// Sending files, and what is said where that, or what follows from it, goes wrong.

import * as api from "./api.js";
import { $, choice, complain, enableRun, say } from "./dom.js";
import { isCurrent, state } from "./state.js";
import { size } from "./words.js";

/**
 * Send the chosen file. Whether it is still wanted when it has been sent; what is not is forgotten again.
 * @param {number} turn
 */
export async function send(turn) {
  const answer = await transfer(/** @type {File} */ (state.chosen), state.series, turn);
  if (!isCurrent(turn)) {
    forget(answer);
    return false;
  }
  state.uploaded = answer;
  return true;
}

/** @param {Upload | null | undefined} upload */
export function forget(upload) {
  if (upload) api.remove(`/api/files/${upload.id}`).catch(() => {}); // it may have gone by itself
}

/**
 * @param {File} file @param {number | null} series @param {number} turn
 * @returns {Promise<Upload>}
 */
export async function transfer(file, series, turn) {
  const most = /** @type {About} */ (state.about).max_upload_bytes;
  if (file.size > most) {
    throw new api.Problem(`${file.name}: ${size(file.size)}; this server takes files of at most ${size(most)}.`, 413);
  }
  if (isCurrent(turn)) say(`Sending ${file.name}`);
  const answer = await api.upload(file, series, (share) => {
    if (isCurrent(turn)) say(share < 1 ? `Sending ${file.name}: ${Math.round(share * 100)} %` : `Reading ${file.name}`);
  });
  $("forget").hidden = false;
  return answer;
}

/**
 * Do what the user asked for; say what went wrong, unless they have asked for something else meanwhile.
 * @param {number} turn @param {() => Promise<void>} action
 * @returns {Promise<{ current: boolean, problem: api.Problem | null }>} whether they have not, and what went wrong
 */
export async function attempt(turn, action) {
  try {
    await action();
  } catch (error) {
    if (!isCurrent(turn)) return { current: false, problem: null };
    $("work").hidden = true;
    enableRun(true);
    const problem = /** @type {api.Problem} */ (error);
    if (problem.choices) askSeries(problem.choices);
    if (problem.status === 410 || problem.status === 404) {
      state.uploaded = null;
      if (state.truth) state.truth.uploaded = null;
      problem.message = "The server was started anew, or has removed your files in the meantime. Press Run to send them again.";
    }
    complain(problem);
    return { current: true, problem };
  }
  return { current: isCurrent(turn), problem: null };
}

/** @param {string[]} choices */
function askSeries(choices) {
  choice("series").replaceChildren(...choices.map((text, i) => new Option(`${i + 1}: ${text}`, String(i + 1))));
  $("series-form").hidden = false;
}
