/** Tables of the Serf commands: cells between "|", trimmed, two spaces between columns; the last cell of a row is not padded. */
export function columns(lines: readonly string[]): string {
  const rows = lines.map((line) => line.split("|").map((cell) => cell.trim()));
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, i) => (widths[i] = Math.max(widths[i] ?? 0, lengthOf(cell))));
  return rows.map((row) => row.map((cell, i) => (i === row.length - 1 ? cell : cell + " ".repeat((widths[i] as number) - lengthOf(cell)))).join("  ")).join("\n");
}

/** Code points, which is how Go pads. */
function lengthOf(text: string): number {
  return [...text].length;
}
