// The page: what is chosen, sent, waited for and shown.

import * as api from "./api.js";
import { BASELINE, meet, offer, pick, suggest } from "./models.js";
import { Panels } from "./panels.js";
import { Picture, difference } from "./picture.js";
import { $, clock, complain, element, grid, list, pause, round, say, set, size, worded } from "./words.js";

const POLL = 500; // ms
const PATIENCE = 60; // polls without an answer
const INPUT = "Input";
const TRUTH = "Ground truth";

let about = null;
let chosen = null; // the file, as the browser holds it
let uploaded = null; // the same, as the server answered
let series = null;
let truth = null; // { file, uploaded }
let job = null;
let turn = 0; // counts what the user began, so that what comes late for an earlier one is not shown
let scans = null;
let explain = () => {}; // what is known of the upload, and why that model is chosen

const panels = new Panels($("panels"), $("panel"), showView);

// ---- the beginning ---------------------------------------------------------------------------------------------------

async function start() {
  setTheme(matchMedia("(prefers-color-scheme: dark)").matches);
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  try {
    if (token) {
      history.replaceState(null, "", location.pathname);
      await api.post("/api/login", { token });
    }
    about = await api.get("/api/about");
    $("version").textContent = `version ${about.version}`;
    $("keep").textContent = clock(about.keep_seconds);
    offer(await api.get("/api/models"));
  } catch (error) {
    if (error.status !== 401) return complain(error);
    $("login").hidden = false;
    $("main").hidden = true;
    if (token) $("login-error").textContent = error.message;
    $("token").focus();
    return;
  }
  const kept = await api.get("/api/files").catch(() => []);
  $("forget").hidden = kept.length === 0;
}

function setTheme(dark) {
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  $("theme").setAttribute("aria-pressed", String(dark));
}

// ---- sending ---------------------------------------------------------------------------------------------------------

async function choose(file) {
  if (!file) return;
  complain(null);
  const mine = ++turn;
  dropJob();
  forget(uploaded);
  forget(truth?.uploaded);
  chosen = file;
  uploaded = null;
  series = null;
  truth = null;
  $("truth").value = "";
  for (const id of ["facts", "series-form", "image-form", "volume-form", "results", "images", "scans"]) $(id).hidden = true;
  $("empty").hidden = false;
  await attempt(mine, async () => {
    if (await send(mine)) await introduce(mine);
  });
}

// Whether it is still wanted when it has been sent; what is not is forgotten again.
async function send(mine) {
  const answer = await transfer(chosen, series, mine);
  if (mine !== turn) {
    forget(answer);
    return false;
  }
  uploaded = answer;
  return true;
}

function forget(answer) {
  if (answer) api.remove(`/api/files/${answer.id}`).catch(() => {}); // it may have gone by itself
}

async function transfer(file, which, mine) {
  if (file.size > about.max_upload_bytes) {
    throw new api.Problem(`${file.name}: ${size(file.size)}; this server takes files of at most ${size(about.max_upload_bytes)}.`, 413);
  }
  if (mine === turn) say(`Sending ${file.name}`);
  const answer = await api.upload(file, which, (share) => {
    if (mine === turn) say(share < 1 ? `Sending ${file.name}: ${Math.round(share * 100)} %` : `Reading ${file.name}`);
  });
  $("forget").hidden = false;
  return answer;
}

// Run what the user asked for; say what went wrong, unless they have asked for something else meanwhile.
async function attempt(mine, action) {
  try {
    await action();
  } catch (error) {
    if (mine !== turn) return;
    $("work").hidden = true;
    enable(true);
    if (error.choices) askSeries(error);
    if (error.status === 410 || error.status === 404) {
      uploaded = null;
      if (truth) truth.uploaded = null;
      error.message = "The server was started anew, or has removed your files in the meantime. Press Run to send them again.";
    }
    complain(error);
  }
}

function askSeries(error) {
  $("series").replaceChildren(...error.choices.map((text, i) => new Option(`${i + 1}: ${text}`, i + 1)));
  $("series-form").hidden = false;
}

async function introduce(mine) {
  const { facts } = uploaded;
  const lines = [`${facts.format}, ${size(uploaded.bytes)}`];
  if (facts.kind === "image") {
    const depth = { uint8: "8 bits", int8: "8 bits, signed", uint16: "16 bits", int16: "16 bits, signed" }[facts.dtype];
    lines.push(`${facts.width} × ${facts.height} pixels, ${facts.channels === 3 ? "colour" : "grey"}, ${depth}`);
    if (facts.channels === 1) lines.push(`${facts.inverted ? "white to black" : "black to white"}: ${facts.low} to ${facts.high}`);
  } else {
    lines.push(grid(facts), `${facts.dtype}${facts.modality ? `, ${facts.modality}` : ""}`);
    if (facts.series) lines.push(facts.series);
    if (facts.finer) lines.push(`as fine as its finest axis: ${grid(facts.finer)}`);
  }
  meet(facts);
  explain = () => list($("facts-list"), [...lines, suggest(), ...facts.notes].filter(Boolean));
  explain();
  $("facts-name").textContent = uploaded.name;
  $("facts").hidden = false;
  $("accepted").hidden = true;
  $("empty").hidden = true;
  $(`${facts.kind}-form`).hidden = false;
  if (facts.kind === "image") await introduceImage(mine);
  else await introduceScan(mine);
  if (mine === turn) say(`${uploaded.name} is ready.`);
}

async function introduceImage(mine) {
  const picture = Picture.read(await api.bytes(uploaded.pixels.url), uploaded.pixels, uploaded.facts);
  if (mine !== turn) return;
  $("images").hidden = false;
  $("window-tools").hidden = uploaded.facts.channels === 3;
  $("difference-tools").hidden = true;
  panels.begin(INPUT, picture);
}

async function introduceScan(mine) {
  $("scans").hidden = false;
  $("scan-result").hidden = true;
  $("spread-tools").hidden = true;
  if (!hasWebGL()) {
    $("scans").hidden = true;
    throw new api.Problem("This browser cannot show scans (it has no WebGL2). They can be refined and downloaded.", 0);
  }
  if (!scans) {
    const { Scans } = await loadViewer();
    scans ??= new Scans([$("scan-0"), $("scan-1")], showCrosshair, showWindow);
  }
  if (mine !== turn) return;
  await scans.begin(uploaded.nifti);
  scans.setWindow(...scans.window);
}

function hasWebGL() {
  return document.createElement("canvas").getContext("webgl2") !== null;
}

// NiiVue is large: it is loaded when the first scan comes.
async function loadViewer() {
  if (!window.niivue) {
    await new Promise((resolve, reject) => {
      const script = element("script", "", { src: "vendor/niivue.umd.js" });
      script.onload = resolve;
      script.onerror = () => reject(new api.Problem(api.UNREACHABLE, 0));
      document.head.append(script);
    });
  }
  return import("./scans.js");
}

// ---- running ---------------------------------------------------------------------------------------------------------

// Not `disabled`: that would take the keyboard's focus away from them.
function enable(on) {
  for (const button of document.querySelectorAll("#controls button.main")) button.setAttribute("aria-disabled", String(!on));
}

async function run(order) {
  if (document.querySelector("#controls button.main").getAttribute("aria-disabled") === "true") return;
  complain(null);
  const mine = ++turn;
  enable(false);
  await attempt(mine, async () => {
    if (!uploaded && !(await send(mine))) return;
    const wish = await order(mine);
    if (mine !== turn) return;
    const before = job;
    job = await api.post(`/api/jobs/${uploaded.facts.kind}`, wish);
    if (mine !== turn) return dropJob();
    const ended = await waited(job, mine);
    if (!ended || mine !== turn) return;
    await present(ended, mine);
    if (before) api.remove(`/api/jobs/${before.id}`).catch(() => {}); // its results were there until now
  });
  if (mine === turn) {
    enable(true);
    $("work").hidden = true;
  }
  if (mine === turn) $("status").classList.remove("hidden");
}

async function imageWish(mine) {
  const second = $("image-second").value;
  const first = $("image-model").value;
  const wanted = [...new Set([BASELINE, first, second].filter(Boolean))];
  const outscale = $("outscale").value ? Number($("outscale").value) : null;
  const measured = truth;
  if (measured && !measured.uploaded) measured.uploaded = await transfer(measured.file, null, mine);
  if (mine !== turn) return null;
  return { file: uploaded.id, models: wanted, outscale, ground_truth: measured ? measured.uploaded.id : null };
}

async function volumeWish() {
  const finer = $("finer").value;
  const value = Number($("finer-value").value);
  return {
    file: uploaded.id,
    model: $("volume-model").value,
    scale: finer === "scale" ? value : null,
    spacing: finer === "spacing" ? value : null,
    uncertainty: $("uncertainty").checked,
  };
}

async function waited(asked, mine) {
  $("work").hidden = false;
  $("status").classList.add("hidden"); // the progress bar says it to the eyes
  $("progress").removeAttribute("value");
  let failures = 0;
  while (mine === turn) {
    let now;
    try {
      now = await api.get(`/api/jobs/${asked.id}`);
      failures = 0;
    } catch (error) {
      if (error.status !== 0 || ++failures > PATIENCE) throw error;
      say("The server cannot be reached; trying again");
      await pause(POLL);
      continue;
    }
    if (mine !== turn) return null;
    if (now.state === "done") return now;
    if (now.state === "failed") throw new api.Problem(now.error, 422);
    if (now.state === "cancelled") {
      say("Cancelled.");
      return null;
    }
    tell(now);
    await pause(POLL);
  }
  return null;
}

function tell(now) {
  if (now.state === "waiting") {
    $("work-label").textContent = `Waiting: your place is ${now.place}`;
    say(`Waiting: your place is ${now.place}`);
    return;
  }
  const left = now.seconds_left === null ? "" : `, about ${clock(now.seconds_left)} left`;
  const doing = now.doing ? ` (${now.doing})` : "";
  $("work-label").textContent = `${Math.round(now.progress * 100)} %${left}${doing}`;
  $("progress").value = now.progress;
  say(`Working: ${Math.floor(now.progress * 10) * 10} %`); // spoken: not every percent
}

function dropJob() {
  const old = job;
  job = null;
  $("work").hidden = true;
  $("status").classList.remove("hidden");
  enable(true);
  if (old) api.remove(`/api/jobs/${old.id}`).catch(() => {}); // it may have gone by itself
}

// ---- showing ---------------------------------------------------------------------------------------------------------

async function present(ended, mine) {
  say("Done; fetching the result");
  $("results-list").replaceChildren(...(ended.volume ? [scanResult(ended.volume)] : ended.images.map(imageResult)));
  $("results").hidden = false;
  if (ended.volume) await presentScan(ended.volume, mine);
  else await presentImages(ended.images, mine);
  if (mine !== turn) return;
  say("Done.");
  if (matchMedia("(max-width: 1000px)").matches) $("viewer").scrollIntoView(); // below the controls there
}

async function presentImages(images, mine) {
  const pictures = new Map([[INPUT, panels.pictures.get(INPUT)]]);
  for (const one of images) {
    const facts = { ...uploaded.facts, dtype: one.pixels.dtype };
    pictures.set(one.model, Picture.read(await api.bytes(one.pixels.url), one.pixels, facts));
  }
  if (truth?.uploaded) {
    const { pixels, facts } = truth.uploaded;
    pictures.set(TRUTH, Picture.read(await api.bytes(pixels.url), pixels, facts));
  }
  if (mine !== turn) return;
  addDifferences(pictures, images.map((one) => one.model));
  const names = images.map((one) => one.model);
  const begin = names.length > 2 ? names : [INPUT, ...names];
  const compared = names.length > 1 ? names.slice(0, 2) : begin;
  panels.show(pictures, sliding() ? compared : begin, sliding());
  $("difference-tools").hidden = false;
}

function addDifferences(pictures, names) {
  // Of one size, and whose values mean the same: 8 bits minus 12 bits would say nothing.
  const same = (a, b) =>
    a.width === b.width && a.height === b.height && a.channels === b.channels && a.facts.low === b.facts.low &&
    a.facts.high === b.facts.high && a.facts.inverted === b.facts.inverted;
  for (const other of [BASELINE, TRUTH]) {
    for (const name of names.filter((one) => one !== other)) {
      const [a, b] = [pictures.get(name), pictures.get(other)];
      if (b && same(a, b)) pictures.set(`${name} minus ${other}`, difference(a, b));
    }
  }
}

function imageResult(one) {
  const box = element("div", "", { className: "result" });
  box.append(element("strong", one.model));
  box.append(element("p", `×${+one.scale.toFixed(3)}: ${one.pixels.width} × ${one.pixels.height} pixels in ${one.seconds} s`));
  if (one.psnr !== null) box.append(element("p", `PSNR ${one.psnr.toFixed(2)} dB, SSIM ${one.ssim.toFixed(4)}`));
  for (const note of one.notes) box.append(element("p", note));
  box.append(download(one.download, one.file_name, `Download ${one.file_name}`));
  return box;
}

function download(href, name, text) {
  return element("a", text, { href, download: name });
}

async function presentScan(result, mine) {
  if (!scans) return; // this browser cannot show them; they can be downloaded
  $("scan-result").hidden = false;
  $("scan-name").textContent = result.model;
  try {
    await scans.add(result.nifti);
  } catch (error) {
    $("scan-result").hidden = true;
    throw new api.Problem(`The result cannot be shown (${error.message}); it can be downloaded.`, 0);
  }
  if (result.uncertainty_nifti) {
    const high = result.uncertainty_p99;
    await scans.addSpread(result.uncertainty_nifti, high / 5, high);
    $("spread-range").textContent = `coloured from ${round(high / 5)} to ${round(high)}`;
    $("spread").value = 50;
    scans.setSpread(0.5);
  }
  if (mine === turn) $("spread-tools").hidden = !result.uncertainty_nifti;
}

function scanResult(result) {
  const box = element("div", "", { className: "result" });
  box.append(element("strong", result.model), element("p", `${grid(result.grid)} in ${result.seconds} s`));
  for (const note of result.notes) box.append(element("p", note));
  box.append(download(result.download, result.file_name, `Download ${result.file_name}`));
  if (result.uncertainty) box.append(download(result.uncertainty, "", "Download the uncertainty map"));
  box.append(download(result.sidecar, "", "Download the figures (JSON)"));
  return box;
}

function sliding() {
  return document.querySelector("input[name=layout]:checked").value === "slider";
}

function showView() {
  const { low, high, difference: range } = panels.shown;
  $("zoom-text").textContent = `${Math.round(panels.view.zoom * 100)} %`;
  set($("level"), round((low + high) / 2));
  set($("width"), round(high - low));
  set($("difference-range"), round(range));
  $("divider-line").hidden = panels.divider === null;
  if (panels.divider !== null) set($("divider"), Math.round(panels.divider * 100));
}

function showCrosshair(mm, values, spread) {
  ["x", "y", "z"].forEach((axis, i) => set($(`cross-${axis}`), String(+mm[i].toFixed(2))));
  [0, 1].forEach((i) => {
    $(`scan-value-${i}`).textContent = i < values.length ? worded(values[i], i === 1 ? spread : null) : "";
  });
}

function showWindow(low, high) {
  set($("scan-low"), round(low));
  set($("scan-high"), round(high));
}

// ---- listening -------------------------------------------------------------------------------------------------------

function listen() {
  const on = (id, event, action) => $(id).addEventListener(event, action);
  const submit = (id, action) => on(id, "submit", (event) => {
    event.preventDefault();
    action();
  });
  on("theme", "click", () => setTheme(document.documentElement.dataset.theme !== "dark"));
  submit("login", async () => {
    try {
      await api.post("/api/login", { token: $("token").value.trim() });
      location.reload();
    } catch (error) {
      $("login-error").textContent = error.message;
    }
  });
  for (const id of ["file", "truth"]) {
    on(id, "click", (event) => (event.target.value = "")); // so that the same file can be chosen again
  }
  on("file", "change", (event) => choose(event.target.files[0]));
  for (const name of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(name, (event) => {
      event.preventDefault();
      $("drop").classList.toggle("over", name === "dragover");
      if (name !== "drop" || !event.dataTransfer.files.length) return;
      if (event.dataTransfer.files.length > 1) {
        complain(new api.Problem("Several files: one at a time, the slices of a scan in one zip.", 0));
        return;
      }
      $("file").files = event.dataTransfer.files;
      choose(event.dataTransfer.files[0]);
    });
  }
  on("truth", "change", (event) => {
    const [file] = event.target.files;
    forget(truth?.uploaded);
    truth = file ? { file, uploaded: null } : null;
  });
  for (const kind of ["image", "volume"]) {
    on(`${kind}-model`, "change", () => {
      pick();
      explain();
    });
  }
  on("outscale", "input", () => explain());
  on("finer", "change", () => {
    const finer = $("finer").value;
    $("finer-number").hidden = finer === "auto";
    document.querySelector("label[for=finer-value]").textContent = finer === "scale" ? "Factor" : "Spacing in mm";
    $("finer-value").value = finer === "scale" ? 2 : 1;
  });
  submit("series-form", () => {
    const mine = ++turn;
    series = Number($("series").value);
    $("series-form").hidden = true;
    complain(null);
    attempt(mine, async () => {
      if (await send(mine)) await introduce(mine);
    });
  });
  submit("image-form", () => run(imageWish));
  submit("volume-form", () => run(volumeWish));
  on("cancel", "click", () => {
    ++turn;
    dropJob();
    say("Cancelled.");
    document.querySelector("#controls form:not([hidden]) button.main")?.focus();
  });
  // Who leaves takes their images along.
  window.addEventListener("pagehide", () => {
    for (const answer of [uploaded, truth?.uploaded]) {
      if (answer) fetch(`/api/files/${answer.id}`, { method: "DELETE", keepalive: true });
    }
  });
  on("forget", "click", async () => {
    try {
      await api.remove("/api/session");
    } catch {
      // the server has forgotten already
    }
    location.reload();
  });
  listenToTools(on);
}

function listenToTools(on) {
  for (const radio of document.querySelectorAll("input[name=layout]")) {
    radio.addEventListener("change", () => {
      const names = [...panels.pictures.keys()].filter((name) => !panels.pictures.get(name).isDifference);
      const results = names.filter((name) => name !== INPUT && name !== TRUTH);
      if (sliding()) panels.layout([names.at(results.length ? 1 : 0), results.at(-1) ?? INPUT], true);
      else panels.layout(results.length > 2 ? results : [INPUT, ...results]);
      panels.fit();
    });
  }
  on("zoom-in", "click", () => panels.zoomBy(1.25));
  on("zoom-out", "click", () => panels.zoomBy(0.8));
  on("fit", "click", () => {
    const { facts } = panels.input;
    panels.setWindow(facts.show_low, facts.show_high);
    panels.fit();
  });
  const windowed = () => {
    const [level, width] = [$("level").valueAsNumber, $("width").valueAsNumber]; // NaN while it is being typed
    panels.setWindow(level - width / 2, level + width / 2);
  };
  on("level", "input", windowed);
  on("width", "input", windowed);
  on("window-auto", "click", () => panels.setWindow(...panels.input.percentiles(0.005, 0.995)));
  on("window-full", "click", () => panels.setWindow(panels.input.facts.low, panels.input.facts.high));
  on("difference-range", "input", () => {
    panels.shown.difference = $("difference-range").valueAsNumber || panels.shown.difference;
    panels.redraw();
  });
  on("divider", "input", () => panels.setDivider(Number($("divider").value) / 100));
  const crossed = () => scans?.setCrosshair(["x", "y", "z"].map((axis) => $(`cross-${axis}`).valueAsNumber));
  for (const axis of ["x", "y", "z"]) on(`cross-${axis}`, "change", crossed);
  const shown = () => scans?.setWindow($("scan-low").valueAsNumber, $("scan-high").valueAsNumber);
  on("scan-low", "change", shown);
  on("scan-high", "change", shown);
  on("scan-in", "click", () => scans?.zoomBy(1.25));
  on("scan-out", "click", () => scans?.zoomBy(0.8));
  on("scan-fit", "click", () => scans?.centre());
  on("smooth", "change", () => scans?.smooth($("smooth").checked));
  on("spread", "input", () => scans?.setSpread(Number($("spread").value) / 100));
}

listen();
start();
