/** The exception text in metadata `M_e`: spec wire 4. */
import type { MotanException } from '../../core/index.js';

/**
 * Reads `M_e` as Go does: JSON, integers as integers, what is missing is 0 or empty. Null for a JSON null.
 * @param text latin1 text of the metadata value
 */
export function parseException(text: string): MotanException | null | 'unreadable' {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(text, 'latin1').toString('utf8'));
  } catch {
    return 'unreadable'; // the only thing JSON.parse says
  }
  if (value === null) return null;
  if (typeof value !== 'object' || Array.isArray(value)) return 'unreadable';
  const { errcode = 0, errtype = 0, errmsg = '' } = value as Record<string, unknown>;
  if (!Number.isInteger(errcode) || !Number.isInteger(errtype) || typeof errmsg !== 'string')
    return 'unreadable';
  return { code: errcode as number, type: errtype as number, message: errmsg };
}

/** The text as written, as latin1; members in Go's order. JSON escapes line breaks, so it is one metadata value. */
export function exceptionText(exception: MotanException): string {
  const { code, message, type } = exception;
  return Buffer.from(JSON.stringify({ errcode: code, errmsg: message, errtype: type }), 'utf8').toString(
    'latin1',
  );
}
