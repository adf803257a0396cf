// Results: their figures and files, and then their pictures.

import { $, element, say } from "./dom.js";
import { presentImages } from "./image_view.js";
import { cardLink, modelCalled } from "./models.js";
import { presentScan } from "./scan_view.js";
import { isCurrent } from "./state.js";
import { grid } from "./words.js";

/** @param {Job} job @param {number} turn */
export async function present(job, turn) {
  say("Done; fetching the result");
  $("results-list").replaceChildren(...(job.volume ? [scanResult(job.volume)] : job.images.map(imageResult)));
  $("results").hidden = false;
  if (job.volume) await presentScan(job.volume, turn);
  else await presentImages(job.images, turn);
  if (!isCurrent(turn)) return;
  say("Done.");
  if (matchMedia("(max-width: 1000px)").matches) $("viewer").scrollIntoView(); // below the controls there
}

/** @param {ImageResult} result */
function imageResult(result) {
  const box = element("div", "", { className: "result" });
  box.append(element("strong", result.model));
  const { width, height } = result.pixels;
  box.append(element("p", `×${+result.scale.toFixed(3)}: ${width} × ${height} pixels in ${result.seconds} s`));
  if (result.psnr !== null && result.ssim !== null) {
    box.append(element("p", `PSNR ${result.psnr.toFixed(2)} dB, SSIM ${result.ssim.toFixed(4)}`));
  }
  for (const note of result.notes) box.append(element("p", note));
  box.append(...trust(result.model, "image"), download(result.download, result.file_name, `Download ${result.file_name}`));
  return box;
}

// What was measured of the model, before anybody believes what it shows.
/** @param {string} name @param {Kind} kind */
function trust(name, kind) {
  const model = modelCalled(name, kind);
  if (!model || (!model.card && !model.own)) return []; // interpolation: nothing is added
  const box = element("details", "", { className: "trust", open: true });
  box.append(element("summary", "How far to trust it"));
  for (const line of model.measured) box.append(element("p", line));
  if (!model.card) box.append(element("p", "This server's own model: medsr has no figures of it. Ask whoever runs this server."));
  if (kind === "volume") {
    box.append(element("p", "The result agrees with the scan because that is enforced. It does not show that new detail is real."));
  }
  box.append(element("p", "Anything seen only in the result is not a finding."));
  if (model.card) box.append(cardLink(model.card));
  return [box];
}

/** @param {VolumeResult} result */
function scanResult(result) {
  const box = element("div", "", { className: "result" });
  box.append(element("strong", result.model), element("p", `${grid(result.grid)} in ${result.seconds} s`));
  for (const note of result.notes) box.append(element("p", note));
  box.append(...trust(result.model, "volume"));
  box.append(download(result.download, result.file_name, `Download ${result.file_name}`));
  if (result.uncertainty) box.append(download(result.uncertainty, "", "Download the uncertainty map"));
  box.append(download(result.sidecar, "", "Download the figures (JSON)"));
  return box;
}

/** @param {string} href @param {string} name @param {string} text */
function download(href, name, text) {
  return element("a", text, { href, download: name });
}
