// Where files come from: chosen, dropped, a folder, or the sample.

import * as api from "./api.js";
import { choose } from "./choose.js";
import { $, complain, input, on, say } from "./dom.js";
import { dropped, gather } from "./gather.js";
import { hideList, listFiles } from "./several.js";
import { isCurrent, state } from "./state.js";
import { attempt, forget } from "./uploads.js";

const SAMPLE = "sample-fundus.png";

export function listenToFiles() {
  for (const id of ["file", "folder", "truth"]) {
    on(id, "click", (event) => (event.target.value = "")); // so that the same can be chosen again
  }
  on("file", "change", (event) => take([...event.target.files]));
  on("folder", "change", (event) => {
    input("file").value = "";
    take([...event.target.files]);
  });
  on("choose-folder", "click", () => input("folder").click());
  on("sample", "click", takeSample);
  on("truth", "change", (event) => {
    const [file] = event.target.files;
    forget(state.truth?.uploaded);
    state.truth = file ? { file, uploaded: null } : null;
  });
  for (const name of /** @type {const} */ (["dragover", "dragleave", "drop"])) {
    document.addEventListener(name, (event) => {
      event.preventDefault();
      $("drop").classList.toggle("over", name === "dragover");
      if (name === "drop" && event.dataTransfer?.items.length) drop(event.dataTransfer);
    });
  }
  // Who leaves takes their images along.
  window.addEventListener("pagehide", () => {
    for (const upload of [state.uploaded, state.truth?.uploaded]) {
      if (upload) fetch(`/api/files/${upload.id}`, { method: "DELETE", keepalive: true });
    }
  });
}

/** @param {DataTransfer} transfer */
async function drop(transfer) {
  input("file").value = ""; // its words are of another choice
  const files = await dropped(transfer).catch((error) => complain(error));
  if (files) take(files);
}

/** @param {File[]} files */
async function take(files) {
  hideList();
  if (files.length === 1) return choose(files[0]);
  const turn = ++state.turn;
  complain(null);
  say(`Looking at ${files.length} files`);
  await attempt(turn, async () => {
    const { entries, left } = await gather(files);
    if (!isCurrent(turn)) return;
    if (!entries.length) throw new api.Problem("No image or scan there.", 0);
    await listFiles(entries, left);
  });
}

async function takeSample() {
  hideList();
  input("file").value = "";
  const turn = ++state.turn;
  await attempt(turn, async () => {
    const bytes = await api.bytes("/api/sample");
    if (isCurrent(turn)) await choose(new File([bytes], SAMPLE, { type: "image/png" }));
  });
}
