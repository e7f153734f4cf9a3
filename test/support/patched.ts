/** Puts other methods into a class while `run` runs. */
export function patched<T extends object, Result>(target: T, methods: Partial<T>, run: () => Result): Result {
  const before = Object.getOwnPropertyDescriptors(target);
  Object.assign(target, methods);
  try {
    return run();
  } finally {
    for (const name of Object.keys(methods)) Object.defineProperty(target, name, before[name as keyof T] as PropertyDescriptor);
  }
}
