/**
 * An empty list that is known to hold objects (or texts). V8 takes one made as `[]` for a list of small integers until the first object comes, and code that was optimized for lists of objects
 * must then be compiled again: matters for lists that were made before the code that fills them was practised.
 */
export function listOfObjects<T>(): T[] {
  const list: (T | null)[] = [null];
  list.pop();
  return list as T[];
}
