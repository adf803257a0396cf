// The page begins: it asks the server what it is and offers, and listens to its user.

import * as api from "./api.js";
import { chooseSeries, explain } from "./choose.js";
import { $, choice, complain, input, on, say } from "./dom.js";
import { listenToFiles } from "./files.js";
import { listenToImageTools } from "./image_view.js";
import { dropJob, run } from "./jobs.js";
import { offer, pick } from "./models.js";
import { listenToScanTools } from "./scan_view.js";
import { listenToList } from "./several.js";
import { state } from "./state.js";
import { clock } from "./words.js";

async function start() {
  setTheme(matchMedia("(prefers-color-scheme: dark)").matches);
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  try {
    if (token) {
      history.replaceState(null, "", location.pathname);
      await api.post("/api/login", { token });
    }
    const about = /** @type {About} */ (await api.get("/api/about"));
    state.about = about;
    $("version").textContent = `version ${about.version}`;
    $("keep").textContent = clock(about.keep_seconds);
    offer(await api.get("/api/models"));
  } catch (error) {
    const problem = /** @type {api.Problem} */ (error);
    if (problem.status !== 401) return complain(problem);
    $("login").hidden = false;
    $("main").hidden = true;
    if (token) $("login-error").textContent = problem.message;
    $("token").focus();
    return;
  }
  const kept = await api.get("/api/files").catch(() => []);
  $("forget").hidden = kept.length === 0;
}

/** @param {boolean} dark */
function setTheme(dark) {
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  $("theme").setAttribute("aria-pressed", String(dark));
}

/** @param {string} id @param {() => void} action */
function onSubmit(id, action) {
  on(id, "submit", (event) => {
    event.preventDefault();
    action();
  });
}

function listen() {
  on("theme", "click", () => setTheme(document.documentElement.dataset.theme !== "dark"));
  onSubmit("login", login);
  listenToFiles();
  listenToList();
  for (const kind of ["image", "volume"]) {
    on(`${kind}-model`, "change", () => {
      pick();
      explain();
    });
  }
  on("outscale", "input", explain);
  on("finer", "change", () => {
    const finer = choice("finer").value;
    $("finer-number").hidden = finer === "auto";
    /** @type {HTMLElement} */ (document.querySelector("label[for=finer-value]")).textContent =
      finer === "scale" ? "Factor" : "Spacing in mm";
    input("finer-value").value = finer === "scale" ? "2" : "1";
  });
  onSubmit("series-form", () => chooseSeries(Number(choice("series").value)));
  onSubmit("image-form", () => run("image"));
  onSubmit("volume-form", () => run("volume"));
  on("cancel", "click", () => {
    ++state.turn;
    dropJob();
    say("Cancelled.");
    /** @type {HTMLElement | null} */ (document.querySelector("#controls form:not([hidden]) button.main"))?.focus();
  });
  on("forget", "click", async () => {
    await api.remove("/api/session").catch(() => {}); // the server may have forgotten already
    location.reload();
  });
  listenToImageTools();
  listenToScanTools();
}

async function login() {
  try {
    await api.post("/api/login", { token: input("token").value.trim() });
    location.reload();
  } catch (error) {
    $("login-error").textContent = /** @type {Error} */ (error).message;
  }
}

listen();
start();
