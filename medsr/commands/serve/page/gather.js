// Several files, or folders: what is in them, and which DICOM files are slices of one scan.

import { zipped } from "./zip.js";

const HEAD = 65536; // bytes of a DICOM file in which its series and place are looked for
const SYSTEM = /^(\.|Thumbs\.db$|desktop\.ini$|DICOMDIR$)/i;

/**
 * One image or scan. `file`: itself, or its slices in one zip.
 * @typedef {{ name: string, file: () => Promise<File> }} Entry
 */

/** Every file of what was dropped. To be called at once: a drop's content is gone later. @param {DataTransfer} transfer */
export async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  const files = [...transfer.files];
  return entries.some((entry) => entry.isDirectory) ? (await Promise.all(entries.map(inside))).flat() : files;
}

/** @param {any} entry @returns {Promise<File[]>} */
async function inside(entry) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    return [Object.assign(file, { path: entry.fullPath.replace(/^\//, "") })];
  }
  const reader = entry.createReader();
  const files = [];
  for (;;) {
    const children = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!children.length) return files;
    for (const child of children) files.push(...(await inside(child)));
  }
}

/** Where a file lies in the folder that was chosen. @param {File & { path?: string }} file */
const pathOf = (file) => file.path || file.webkitRelativePath || file.name;

/**
 * Images and scans among files, and how many files the system or an archive keeps for itself.
 * @param {File[]} files @returns {Promise<{ entries: Entry[], left: string[] }>}
 */
export async function gather(files) {
  const ordered = [...files].sort((a, b) => pathOf(a).localeCompare(pathOf(b), "en", { numeric: true }));
  const left = ordered.filter((file) => SYSTEM.test(file.name)).map((file) => file.name);
  /** @type {Map<string, File[]>} */
  const groups = new Map();
  for (const file of ordered.filter(({ name }) => !SYSTEM.test(name))) {
    const key = (await seriesOf(file)) || pathOf(file);
    groups.set(key, [...(groups.get(key) ?? []), file]);
  }
  /** @type {Map<string, number>} */
  const scans = new Map(); // of each folder: results of two must not bear one name
  const entries = [...groups.values()].map((group) => {
    const folder = pathOf(group[0]).split("/").slice(0, -1).join("/");
    if (group.length > 1) scans.set(folder, (scans.get(folder) ?? 0) + 1);
    return entryOf(group, folder, scans.get(folder) ?? 1);
  });
  return { entries, left: [...new Set(left)] };
}

/** @param {File[]} files of one scan, or one file @param {string} folder @param {number} number of the folder's scans @returns {Entry} */
function entryOf(files, folder, number) {
  const [first] = files;
  if (files.length === 1) return { name: pathOf(first), file: async () => first };
  const again = number > 1 ? `-${number}` : "";
  const stem = folder.split("/").pop() || "scan";
  return { name: `${folder || stem}${again}: ${files.length} slices`, file: () => zipped(`${stem}${again}.zip`, files) };
}

/** The series of a DICOM file that says where its slice lies; empty for other files, radiographs too. @param {File} file */
async function seriesOf(file) {
  const head = new Uint8Array(await file.slice(0, HEAD).arrayBuffer());
  const isDicom = text(head, 128, 4) === "DICM" || (head[0] === 8 && head[1] === 0 && head[3] === 0);
  if (!isDicom || !element(head, 0x0020, 0x0032, /^[-+\d.eE\\ ]+$/)) return "";
  return element(head, 0x0020, 0x000e, /^[\d.]+$/);
}

/**
 * The last value under a tag that looks as it should; sequences before it may quote other series.
 * @param {Uint8Array} head @param {number} group @param {number} number @param {RegExp} form
 */
function element(head, group, number, form) {
  let value = "";
  for (let i = head.indexOf(group & 255); i >= 0 && i + 8 < head.length; i = head.indexOf(group & 255, i + 1)) {
    if (head[i + 1] !== group >> 8 || head[i + 2] !== (number & 255) || head[i + 3] !== number >> 8) continue;
    const named = /^[A-Z]{2}$/.test(text(head, i + 4, 2)); // the type is written, and the length behind it
    const length = named ? head[i + 6] | (head[i + 7] << 8) : head[i + 4] | (head[i + 5] << 8);
    const content = text(head, i + 8, Math.min(length, 64)).replace(/[\0 ]+$/, "");
    if (form.test(content)) value = content;
  }
  return value;
}

/** @param {Uint8Array} bytes @param {number} from @param {number} length */
const text = (bytes, from, length) => String.fromCharCode(...bytes.subarray(from, from + length));
