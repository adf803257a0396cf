// What the user has chosen, and what they began last.

/**
 * @type {{
 *   about: About | null,
 *   chosen: File | null,
 *   uploaded: Upload | null,
 *   series: number | null,
 *   truth: { file: File, uploaded: Upload | null } | null,
 *   job: Job | null,
 *   turn: number,
 * }}
 * `chosen`: the file, as the browser holds it; `uploaded`: the same, as the server answered. `turn` counts what the user
 * began, so that what comes late for an earlier one is not shown.
 */
export const state = { about: null, chosen: null, uploaded: null, series: null, truth: null, job: null, turn: 0 };

/** Whether this is what the user began last. @param {number} turn */
export const isCurrent = (turn) => turn === state.turn;
