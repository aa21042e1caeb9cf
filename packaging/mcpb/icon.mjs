// Draws icon.png: an arrow down into a tray. node packaging/mcpb/icon.mjs
import { writeFileSync } from "node:fs";
import { crc32, deflateSync } from "node:zlib";

const size = 512; // pixels
const samples = 4; // of a pixel, in each direction
const [background, shape] = [[44, 52, 120], [255, 255, 255]];

const within = (v, from, to) => v >= from && v <= to;

// rounded reports whether a point lies in a rectangle with round corners.
function rounded(x, y, left, top, right, bottom, radius) {
  const dx = Math.max(left + radius - x, 0, x - (right - radius));
  const dy = Math.max(top + radius - y, 0, y - (bottom - radius));
  return Math.hypot(dx, dy) <= radius;
}

// colour returns the colour of a point of the unit square, undefined outside of the icon.
function colour(x, y) {
  if (!rounded(x, y, 0, 0, 1, 1, 0.22)) return undefined;
  const shaft = within(x, 0.44, 0.56) && within(y, 0.18, 0.45);
  const head = within(y, 0.4, 0.62) && Math.abs(x - 0.5) <= 0.62 - y;
  const tray = rounded(x, y, 0.2, 0.56, 0.8, 0.82, 0.06) && !(within(x, 0.32, 0.68) && y < 0.7);
  return shaft || head || tray ? shape : background;
}

// pixel returns red, green, blue and opacity of a pixel.
function pixel(px, py) {
  const found = [];
  for (let i = 0; i < samples ** 2; i++) {
    const at = (p, n) => (p + ((n % samples) + 0.5) / samples) / size;
    const c = colour(at(px, i), at(py, Math.floor(i / samples)));
    if (c) found.push(c);
  }
  const mean = (n) => Math.round(found.reduce((sum, c) => sum + c[n], 0) / Math.max(found.length, 1));
  return [mean(0), mean(1), mean(2), Math.round((255 * found.length) / samples ** 2)];
}

function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type), data]);
  const number = (n) => Buffer.from([n >>> 24, (n >>> 16) & 255, (n >>> 8) & 255, n & 255]);
  return Buffer.concat([number(data.length), body, number(crc32(body))]);
}

const row = (y) => [0, ...Array.from({ length: size }, (_, x) => pixel(x, y)).flat()];
const rows = Buffer.from(Array.from({ length: size }, (_, y) => row(y)).flat());
const header = Buffer.from([0, 0, size >> 8, size & 255, 0, 0, size >> 8, size & 255, 8, 6, 0, 0, 0]);
writeFileSync(new URL("icon.png", import.meta.url), Buffer.concat([
  Buffer.from("\x89PNG\r\n\x1a\n", "latin1"), chunk("IHDR", header),
  chunk("IDAT", deflateSync(rows, { level: 9 })), chunk("IEND", Buffer.alloc(0)),
]));
