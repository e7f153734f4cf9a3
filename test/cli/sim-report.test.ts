/** The report of a run: a file of its own, and looked at in a real browser where there is one. */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { runSim } from "../../src/cli/sim/command.ts";
import { decodePng, type Image } from "../support/png.ts";
import { tempDir } from "../support/temp-dir.ts";

function report(dir: string, ...words: string[]): { readonly file: string; readonly html: string } {
  const file = join(dir, "report.html");
  assert.equal(runSim({ out: () => {}, err: () => {}, env: {}, onInterrupt: () => {} }, [...words, `-report=${file}`]), 0);
  return { file, html: readFileSync(file, "utf8") };
}

test("a report is one file: every chart is in it, and nothing is fetched from anywhere", (t) => {
  const { html } = report(tempDir(t), "-scenario=crash-1pct", "-nodes=6", "-seed=2");
  const titles = ["Convergence", "Detection latency", "False positives", "Bandwidth per node", "Queue depth", "Running nodes", "What was done to the cluster", "The run"];
  for (const title of titles) assert.ok(html.includes(`<h2>${title}</h2>`), title);
  assert.doesNotMatch(html, /https?:|\bsrc=|@import|url\(|<link/);
  assert.ok(html.includes("muster sim -scenario=crash-1pct -seed=2 -nodes=6 -codec=full"), "the command that replays it");
  assert.match(html, /power off: 30\.0 to 30\.0 s/);
  const bars = [...html.matchAll(/<title>[\d.]+ to [\d.]+ s: (\d+)<\/title>/g)].map(([, count]) => Number(count));
  assert.equal(bars.reduce((sum, count) => sum + count, 0), 5, "the five survivors report the crash");
});

test("text of a scenario file cannot become markup", (t) => {
  const dir = tempDir(t);
  const file = join(dir, "x.json");
  const steps = [{ atMs: 0, do: "start", nodes: "all" }, { atMs: 0, do: "join", nodes: "others", to: "0" }];
  writeFileSync(file, JSON.stringify({ name: "<img src=x>", about: '"><script>', nodes: 2, steps }));
  const { html } = report(dir, `-scenario=${file}`);
  assert.doesNotMatch(html, /<img|"><script>/);
});

test("in Chromium the page is light or dark as the reader prefers, and draws its curves", (t) => {
  if (spawnSync("chromium", ["--version"]).status !== 0) return t.skip("chromium is not installed");
  const dir = tempDir(t);
  const { file } = report(dir, "-scenario=crash-1pct", "-nodes=6");
  const light = screenshot(t, dir, file, []);
  const dark = screenshot(t, dir, file, ["--blink-settings=preferredColorScheme=0"]);
  assert.ok(light.at(2, 2)[0] > 240, "light page");
  assert.ok(dark.at(2, 2)[0] < 30, "dark page");
  assert.ok(count(light, [0x2a, 0x78, 0xd6]) > 500, "curves in the light palette");
  assert.ok(count(dark, [0x39, 0x87, 0xe5]) > 500, "curves in the dark palette");
});

function screenshot(t: TestContext, dir: string, page: string, flags: readonly string[]): Image {
  const png = join(dir, `shot-${flags.length}.png`);
  const common = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-background-networking", "--window-size=1280,1500", `--user-data-dir=${tempDir(t)}`];
  execFileSync("chromium", [...common, ...flags, `--screenshot=${png}`, `file://${page}`], { stdio: "ignore", timeout: 120_000 });
  return decodePng(readFileSync(png));
}

/** Pixels of a colour, give or take what blending and rounding do. */
function count({ width, height, at }: Image, colour: readonly [number, number, number]): number {
  let found = 0;
  for (let y = 0; y < height; y += 1) for (let x = 0; x < width; x += 1) if (at(x, y).every((part, i) => Math.abs(part - (colour[i] as number)) <= 6)) found += 1;
  return found;
}
