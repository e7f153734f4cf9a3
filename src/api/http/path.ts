/** Paths as Go's `ServeMux` treats them: cleaned by redirect, refused when they hold what cannot be printed. */

/** `path.Clean` with a trailing slash kept. */
export function cleanPath(path: string): string {
  if (path === "") return "/";
  if (!/\/\/|\/\.\.?(\/|$)|^[^/]/.test(path)) return path;
  const kept: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part === "..") kept.pop();
    else kept.push(part);
  }
  const clean = `/${kept.join("/")}`;
  return path.endsWith("/") && clean !== "/" ? `${clean}/` : clean;
}

// Lone low surrogates stand for bytes that were no UTF-8 (`base/utf8.ts`); Go sees U+FFFD there, which prints.
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Zl}\p{Zp}]|(?! )\p{Zs}/u;

/** `unicode.IsPrint` of every rune. */
export function isPrintable(path: string): boolean {
  return /^[ -~]*$/.test(path) || !UNPRINTABLE.test(path);
}
