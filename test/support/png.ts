/** Reads the screenshots that Chromium writes: 8 bits per channel, RGB or RGBA, not interlaced. */
import assert from "node:assert/strict";
import { inflateSync } from "node:zlib";

export interface Image {
  readonly width: number;
  readonly height: number;
  /** Red, green, blue of a pixel. */
  at(x: number, y: number): readonly [number, number, number];
}

export function decodePng(file: Buffer): Image {
  assert.equal(file.toString("latin1", 1, 4), "PNG");
  const [width, height] = [file.readUInt32BE(16), file.readUInt32BE(20)];
  const channels = { 2: 3, 6: 4 }[file[25] as number];
  assert.ok(channels !== undefined && file[24] === 8 && file[28] === 0);
  const parts: Buffer[] = [];
  for (let at = 8; at < file.length; ) {
    const length = file.readUInt32BE(at);
    if (file.toString("latin1", at + 4, at + 8) === "IDAT") parts.push(file.subarray(at + 8, at + 8 + length));
    at += length + 12;
  }
  const raw = inflateSync(Buffer.concat(parts));
  const stride = width * channels;
  const pixels = new Uint8Array(stride * height);
  for (let y = 0; y < height; y += 1) {
    const filter = raw[y * (stride + 1)] as number;
    for (let i = 0; i < stride; i += 1) {
      const left = i < channels ? 0 : (pixels[y * stride + i - channels] as number);
      const above = y === 0 ? 0 : (pixels[(y - 1) * stride + i] as number);
      const corner = y === 0 || i < channels ? 0 : (pixels[(y - 1) * stride + i - channels] as number);
      pixels[y * stride + i] = (raw[y * (stride + 1) + 1 + i] as number) + predict(filter, left, above, corner);
    }
  }
  return { width, height, at: (x, y) => [0, 1, 2].map((i) => pixels[y * stride + x * channels + i] as number) as [number, number, number] };
}

/** The five filters of PNG (RFC 2083, section 6). */
function predict(filter: number, left: number, above: number, corner: number): number {
  switch (filter) {
    case 1:
      return left;
    case 2:
      return above;
    case 3:
      return (left + above) >> 1;
    case 4: {
      const estimate = left + above - corner;
      const [toLeft, toAbove, toCorner] = [Math.abs(estimate - left), Math.abs(estimate - above), Math.abs(estimate - corner)];
      if (toLeft <= toAbove && toLeft <= toCorner) return left;
      return toAbove <= toCorner ? above : corner;
    }
    default:
      return 0;
  }
}
