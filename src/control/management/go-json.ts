/** JSON as Go's encoder writes it, because peers' programs compare bytes: `<`, `>`, `&` and two separators are escaped. */
const ESCAPES: Readonly<Record<string, string>> = {
  '<': '\\u003c',
  '>': '\\u003e',
  '&': '\\u0026',
  '\u2028': '\\u2028',
  '\u2029': '\\u2029',
};

export function goJson(value: unknown, indent = ''): string {
  return JSON.stringify(value, null, indent).replace(/[<>&\u2028\u2029]/g, (found) => ESCAPES[found]!);
}

/** An object with its keys in the order of Go's maps: bytewise. */
export function sorted<T>(entries: Iterable<readonly [string, T]>): Record<string, T> {
  return Object.fromEntries([...entries].sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b))));
}
