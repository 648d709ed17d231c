/** Whether a caller takes what it would be given: field `Accept` (RFC 9110 12.5.1). */
import type { RequestHead } from '../../../../wire/http1/index.js';

/** The most specific range that fits counts; a weight of 0 refuses. Ranges that make no sense are skipped. */
export function accepts(head: RequestHead, type: string, subtype: string): boolean {
  const fields = head.getAll('accept');
  if (fields.length === 0) return true;
  let isAccepted = false;
  let best = 0;
  for (const range of fields.join(',').split(',')) {
    const [name, ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
    const rank = rankOf(name!, type, subtype);
    if (rank < best || rank === 0) continue;
    isAccepted = !parameters.some((parameter) => /^q=0(?:\.0{0,3})?$/.test(parameter));
    best = rank;
  }
  return isAccepted;
}

function rankOf(name: string, type: string, subtype: string): number {
  if (name === `${type}/${subtype}`) return 3;
  if (name === `${type}/*`) return 2;
  return name === '*/*' ? 1 : 0;
}
