// The HTTP API, as /api/openapi.json describes it. Every failure is a Problem whose message a person can read.

export class Problem extends Error {
  /** @param {string} message @param {number} status 0: no answer came @param {string[]} [choices] */
  constructor(message, status, choices) {
    super(message);
    this.status = status;
    this.choices = choices;
  }
}

export const UNREACHABLE = "The server cannot be reached.";

async function problem(response) {
  /** @type {{ error?: string, choices?: string[] }} */
  let told = {};
  try {
    told = await response.json();
  } catch {
    // no words came with it
  }
  return new Problem(told.error ?? `The server answered ${response.status}.`, response.status, told.choices);
}

async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { credentials: "same-origin", ...options });
  } catch {
    throw new Problem(UNREACHABLE, 0);
  }
  if (!response.ok) throw await problem(response);
  return response;
}

/** @param {string} path */
export async function get(path) {
  return (await ask(path)).json();
}

/** @param {string} path */
export async function bytes(path) {
  return (await ask(path)).arrayBuffer();
}

/** @param {string} path @param {object | null} wish */
export async function post(path, wish) {
  const response = await ask(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(wish),
  });
  return response.status === 204 ? null : response.json();
}

/** @param {string} path */
export async function remove(path) {
  await ask(path, { method: "DELETE" });
}

// XMLHttpRequest, because fetch does not tell how much has been sent.
/** @type {XMLHttpRequest | null} */
let sending = null;

/**
 * What was on its way is given up: one file at a time.
 * @param {File} file @param {number | null} series @param {(share: number) => void} onProgress
 * @returns {Promise<Upload>}
 */
export function upload(file, series, onProgress) {
  sending?.abort();
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    sending = request;
    request.open("POST", series ? `/api/files?series=${series}` : "/api/files");
    request.responseType = "json";
    request.setRequestHeader("X-File-Name", encodeURIComponent(file.name));
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.onprogress = (event) => onProgress(event.loaded / Math.max(event.total, 1));
    request.onload = () => {
      const told = request.response ?? {};
      if (request.status === 201) resolve(told);
      else reject(new Problem(told.error ?? `The server answered ${request.status}.`, request.status, told.choices));
    };
    request.onabort = () => reject(new Problem("Given up.", 0));
    request.onerror = () => reject(new Problem(UNREACHABLE, 0));
    request.send(file);
  });
}
