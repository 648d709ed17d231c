/**
 * As much of Hessian 2 as exceptions of Motan v1 need: strings both ways, and finding the message in an exception object.
 *
 * A string counts UTF-16 units and encodes each unit by itself, so a character beyond the BMP is two sequences of three
 * bytes: hessian 4.0.66 refuses the usual four (vector java/hessian2/value/string_utf8).
 *
 *   00-1f size | 30-33 size, 10 bits | S size, 2 bytes | R size, 2 bytes: another piece follows
 */
const DIRECT_UNITS_MAX = 0x1f;
const SHORT_UNITS_MAX = 0x3ff;

/** Text of up to 65535 UTF-16 units. */
export function encodeHessianString(text: string): Buffer {
  const units = text.length;
  const head =
    units <= DIRECT_UNITS_MAX
      ? [units]
      : units <= SHORT_UNITS_MAX
        ? [0x30 + (units >> 8), units & 0xff]
        : [0x53, units >> 8, units & 0xff];
  const bytes: number[] = head;
  for (let index = 0; index < units; index += 1) {
    const unit = text.charCodeAt(index);
    if (unit < 0x80) bytes.push(unit);
    else if (unit < 0x800) bytes.push(0xc0 | (unit >> 6), 0x80 | (unit & 0x3f));
    else bytes.push(0xe0 | (unit >> 12), 0x80 | ((unit >> 6) & 0x3f), 0x80 | (unit & 0x3f));
  }
  return Buffer.from(bytes);
}

/** Fields that hold a message, the first that is set wins: of Motan's exceptions, of any Throwable, of MotanErrorMsg. */
const TEXT_FIELDS = ['errorMsg', 'detailMessage', 'message'];
/** Class definitions, instances and strings looked at before giving up. */
const STEPS_MAX = 1_000;

/**
 * The message inside a serialized exception, or the empty string. Best effort: it stops at the first thing that it does
 * not know, which in practice is the stack trace behind the message. Never throws and never reads beyond `bytes`.
 */
export function hessianExceptionText(bytes: Buffer): string {
  const found = new Map<string, string>();
  new TextFinder(bytes, found).value();
  for (const field of TEXT_FIELDS) {
    const text = found.get(field);
    if (text !== undefined && text !== '') return text;
  }
  return '';
}

/** Walks objects in depth; `null` from any method means that it met something unknown or the end. */
class TextFinder {
  readonly #bytes: Buffer;
  readonly #found: Map<string, string>;
  readonly #classes: (readonly string[])[] = [];
  #at = 0;
  #steps = 0;

  constructor(bytes: Buffer, found: Map<string, string>) {
    this.#bytes = bytes;
    this.#found = found;
  }

  /** True when the value was understood to its end. */
  value(): boolean {
    this.#steps += 1;
    if (this.#steps > STEPS_MAX) return false;
    const tag = this.#bytes[this.#at];
    if (tag === undefined) return false;
    if (tag === 0x4e) {
      this.#at += 1;
      return true;
    }
    if (tag === 0x43) {
      this.#at += 1;
      return this.#classDefinition() && this.value();
    }
    if (tag >= 0x60 && tag <= 0x6f) {
      this.#at += 1;
      return this.#instance(tag - 0x60);
    }
    return this.#string() !== null || this.#integer() !== null;
  }

  #classDefinition(): boolean {
    if (this.#string() === null) return false;
    const count = this.#integer();
    if (count === null || count < 0 || count > STEPS_MAX) return false;
    const fields: string[] = [];
    for (let index = 0; index < count; index += 1) {
      const field = this.#string();
      if (field === null) return false;
      fields.push(field);
    }
    this.#classes.push(fields);
    return true;
  }

  #instance(classIndex: number): boolean {
    const fields = this.#classes[classIndex];
    if (fields === undefined) return false;
    for (const field of fields) {
      const start = this.#at;
      const text = this.#string();
      if (text !== null) {
        if (!this.#found.has(field)) this.#found.set(field, text);
        continue;
      }
      this.#at = start;
      if (!this.value()) return false;
    }
    return true;
  }

  #integer(): number | null {
    const [tag, low, lower] = [this.#bytes[this.#at], this.#bytes[this.#at + 1], this.#bytes[this.#at + 2]];
    if (tag === undefined) return null;
    if (tag >= 0x80 && tag <= 0xbf) {
      this.#at += 1;
      return tag - 0x90;
    }
    if (tag >= 0xc0 && tag <= 0xcf && low !== undefined) {
      this.#at += 2;
      return ((tag - 0xc8) << 8) + low;
    }
    if (tag >= 0xd0 && tag <= 0xd7 && low !== undefined && lower !== undefined) {
      this.#at += 3;
      return ((tag - 0xd4) << 16) + (low << 8) + lower;
    }
    if (tag === 0x49 && this.#at + 5 <= this.#bytes.length) {
      this.#at += 5;
      return this.#bytes.readInt32BE(this.#at - 4);
    }
    return null;
  }

  #string(): string | null {
    let text = '';
    for (;;) {
      const tag = this.#bytes[this.#at];
      if (tag === undefined) return null;
      const isLong = tag === 0x53 || tag === 0x52;
      let units = tag;
      let head = 1;
      if (isLong) {
        if (this.#at + 3 > this.#bytes.length) return null;
        units = this.#bytes.readUInt16BE(this.#at + 1);
        head = 3;
      } else if (tag >= 0x30 && tag <= 0x33) {
        if (this.#at + 2 > this.#bytes.length) return null;
        units = ((tag - 0x30) << 8) + this.#bytes[this.#at + 1]!;
        head = 2;
      } else if (tag > DIRECT_UNITS_MAX) {
        return null;
      }
      this.#at += head;
      const piece = this.#units(units);
      if (piece === null) return null;
      text += piece;
      if (tag !== 0x52) return text;
    }
  }

  /** `count` UTF-16 units; a four-byte sequence, which motan-go writes, counts as two. */
  #units(count: number): string | null {
    const start = this.#at;
    let at = start;
    for (let left = count; left > 0; left -= 1) {
      const byte = this.#bytes[at];
      if (byte === undefined) return null;
      if (byte >= 0xf0) left -= 1;
      at += byte < 0x80 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
    }
    if (at > this.#bytes.length) return null;
    this.#at = at;
    return decodeUnits(this.#bytes.subarray(start, at));
  }
}

/** UTF-8 in which surrogates may stand as sequences of their own. */
function decodeUnits(bytes: Buffer): string {
  const pieces: string[] = [];
  let plainFrom = 0;
  for (let at = 0; at < bytes.length; at += 1) {
    if (bytes[at] !== 0xed || (bytes[at + 1] ?? 0) < 0xa0 || at + 2 >= bytes.length) continue;
    pieces.push(bytes.toString('utf8', plainFrom, at));
    pieces.push(String.fromCharCode(0xd000 | ((bytes[at + 1]! & 0x3f) << 6) | (bytes[at + 2]! & 0x3f)));
    at += 2;
    plainFrom = at + 1;
  }
  pieces.push(bytes.toString('utf8', plainFrom));
  return pieces.join('');
}
