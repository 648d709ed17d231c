/** Finds the name that was probably meant: optimal string alignment distance, ignoring case. */

/**
 * The nearest of `names` to `given`, or null. Two edits are allowed, one for names of up to five letters; what differs
 * in case only is always near.
 */
export function nearestName(given: string, names: Iterable<string>): string | null {
  const allowed = given.length <= 1 ? 0 : given.length <= 5 ? 1 : 2;
  let nearest: string | null = null;
  let best = allowed + 1;
  for (const name of names) {
    if (name === given || Math.abs(name.length - given.length) > allowed) continue;
    const edits = editDistance(given.toLowerCase(), name.toLowerCase());
    if (edits < best) {
      best = edits;
      nearest = name;
    }
  }
  return nearest;
}

/** Inserts, deletes, replacements and swaps of neighbours that turn `a` into `b`. */
export function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let edits = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + same);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        edits = Math.min(edits, beforeLast[j - 2]! + 1);
      }
      row.push(edits);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length]!;
}
