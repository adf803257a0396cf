// A zip of files as they are, not compressed: how the slices of a scan are sent.

import { Problem } from "./api.js";

const MOST_BYTES = 0xffffffff; // more would need another form of zip
const MOST_FILES = 0xffff;

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let bit = 0; bit < 8; bit++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  return c;
});

/** @param {Uint8Array} bytes */
function crc32(bytes) {
  let crc = -1;
  for (let i = 0; i < bytes.length; i++) crc = TABLE[(crc ^ bytes[i]) & 255] ^ (crc >>> 8);
  return ~crc >>> 0;
}

/**
 * Members are called by their number: names of files may be names of people.
 * @param {string} name of the zip @param {File[]} files @returns {Promise<File>}
 */
export async function zipped(name, files) {
  const total = files.reduce((sum, file) => sum + file.size, 0);
  if (files.length > MOST_FILES || total + 200 * files.length > MOST_BYTES) throw new Problem(`${name}: too large to send at once.`, 413);
  /** @type {BlobPart[]} */
  const parts = [];
  /** @type {BlobPart[]} */
  const directory = [];
  let offset = 0;
  for (const [index, file] of files.entries()) {
    const member = new TextEncoder().encode(`${String(index + 1).padStart(6, "0")}.dcm`);
    const facts = [crc32(new Uint8Array(await file.arrayBuffer())), file.size, file.size];
    parts.push(header(0x04034b50, [20, 0, 0, 0, 0x21], facts, [member.length, 0]), member, file);
    directory.push(header(0x02014b50, [20, 20, 0, 0, 0, 0x21], facts, [member.length, 0, 0, 0, 0, 0, 0, ...halves(offset)]), member);
    offset += 30 + member.length + file.size;
  }
  const length = new Blob(directory).size;
  const end = header(0x06054b50, [0, 0, files.length, files.length], [length, offset], [0]);
  return new File([...parts, ...directory, end], name, { type: "application/zip" });
}

/** @param {number} value of 32 bits */
const halves = (value) => [value & 0xffff, value >>> 16];

/** @param {number} mark @param {number[]} first of 16 bits @param {number[]} middle of 32 bits @param {number[]} last of 16 bits */
function header(mark, first, middle, last) {
  const words = [...halves(mark), ...first, ...middle.flatMap(halves), ...last];
  const view = new DataView(new ArrayBuffer(2 * words.length));
  words.forEach((word, i) => view.setUint16(2 * i, word, true));
  return view.buffer;
}
