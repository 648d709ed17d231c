/**
 * IP addresses and blocks of them, as text and as numbers.
 *
 * Each address has one form here: an IPv4 address written as an IPv6 one (`::ffff:127.0.0.1`) is the IPv4 address, and the spellings
 * of C's inet_aton (`2130706433`, `0x7f.1`, `0177.0.0.1`) are what the system would connect to.
 */
export interface IpAddress {
  /** 32 for IPv4, 128 for IPv6. */
  readonly bits: 32 | 128;
  readonly value: bigint;
}

/** All addresses that begin with the same `prefix` bits as `address`; the bits behind them are 0. */
export interface IpBlock {
  readonly address: IpAddress;
  readonly prefix: number;
}

/** `::ffff:0:0/96` without its last 32 bits. */
const MAPPED = 0xffffn;
const LOW_32 = 0xffff_ffffn;

/** An IPv4 address in four decimal parts without leading zeros, or an IPv6 address; null for anything else. */
export function parseIp(text: string): IpAddress | null {
  return text.includes(':') ? parseIpv6(text) : parseIpv4(text);
}

/**
 * An IPv4 address in any spelling that the system takes for one: one to four parts, each decimal, octal with `0` or hexadecimal with
 * `0x`; the last one fills the bytes that are left.
 */
export function parseLooseIpv4(text: string): IpAddress | null {
  const parts = text.split('.');
  if (parts.length > 4) return null;
  let value = 0n;
  for (const [index, part] of parts.entries()) {
    const number = parseLoosePart(part);
    const bits = index === parts.length - 1 ? 8n * BigInt(4 - index) : 8n;
    if (number === null || number >> bits !== 0n) return null;
    value = (value << bits) | number;
  }
  return { bits: 32, value };
}

/** Whether the system takes the name for a number, right or wrong: its last part is one. */
export function endsInNumber(host: string): boolean {
  return /(?:^|\.)(?:\d+|0[xX][0-9A-Fa-f]*)$/.test(host);
}

/** `address/prefix`, or an address, which is a block of one; null for anything else, and when bits behind the prefix are set. */
export function parseIpBlock(text: string): IpBlock | null {
  const found = /^([0-9A-Fa-f:.]+?)(?:\/(0|[1-9]\d{0,2}))?$/.exec(text);
  const address = found === null ? null : parseIp(found[1]!);
  if (address === null) return null;
  const isMapped = address.bits === 32 && found![1]!.includes(':');
  const written = found![2] === undefined ? null : Number(found![2]);
  const prefix = written === null ? address.bits : written - (isMapped ? 96 : 0);
  if (prefix < 0 || prefix > address.bits) return null;
  const block = { address, prefix };
  return firstOf(block) === address.value ? block : null;
}

export function isInBlock(address: IpAddress, block: IpBlock): boolean {
  if (address.bits !== block.address.bits) return false;
  const behind = BigInt(address.bits - block.prefix);
  return address.value >> behind === block.address.value >> behind;
}

/** Whether all of `inner` lies in `outer`. */
export function isBlockWithin(inner: IpBlock, outer: IpBlock): boolean {
  return inner.prefix >= outer.prefix && isInBlock(inner.address, outer);
}

export function ipText(address: IpAddress): string {
  const { bits, value } = address;
  if (bits === 32) return [24n, 16n, 8n, 0n].map((shift) => String((value >> shift) & 0xffn)).join('.');
  const groups: string[] = [];
  for (let shift = 112n; shift >= 0n; shift -= 16n) groups.push(((value >> shift) & 0xffffn).toString(16));
  return groups.join(':').replace(/(?:^|:)0(?::0)+(?:$|:)/, '::');
}

function firstOf(block: IpBlock): bigint {
  const behind = BigInt(block.address.bits - block.prefix);
  return (block.address.value >> behind) << behind;
}

function parseIpv4(text: string): IpAddress | null {
  const parts = text.split('.');
  if (parts.length !== 4) return null;
  let value = 0n;
  for (const part of parts) {
    if (!/^(?:0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return null;
    value = (value << 8n) | BigInt(part);
  }
  return { bits: 32, value };
}

function parseLoosePart(text: string): bigint | null {
  if (/^0[xX][0-9A-Fa-f]{1,8}$/.test(text)) return BigInt(text);
  if (/^0[0-7]{0,11}$/.test(text)) return text === '0' ? 0n : BigInt(`0o${text}`);
  return /^[1-9]\d{0,9}$/.test(text) ? BigInt(text) : null;
}

function parseIpv6(text: string): IpAddress | null {
  const halves = text.split('::');
  if (halves.length > 2) return null;
  const front = parseGroups(halves[0]!, halves.length === 1);
  const back = halves.length === 1 ? undefined : parseGroups(halves[1]!, true);
  if (front === null || back === null) return null;
  const known = front.length + (back?.length ?? 0);
  if (back === undefined ? known !== 8 : known > 7) return null;
  const groups = [...front, ...new Array<bigint>(8 - known).fill(0n), ...(back ?? [])];
  const value = groups.reduce((sum, group) => (sum << 16n) | group, 0n);
  return value >> 32n === MAPPED ? { bits: 32, value: value & LOW_32 } : { bits: 128, value };
}

/** Groups of four hexadecimal digits; the last two of the address may be written as an IPv4 address. */
function parseGroups(text: string, isEnd: boolean): bigint[] | null {
  if (text === '') return [];
  const groups: bigint[] = [];
  const parts = text.split(':');
  for (const [index, part] of parts.entries()) {
    if (/^[0-9A-Fa-f]{1,4}$/.test(part)) {
      groups.push(BigInt(`0x${part}`));
      continue;
    }
    const last = isEnd && index === parts.length - 1 ? parseIpv4(part) : null;
    if (last === null) return null;
    groups.push(last.value >> 16n, last.value & 0xffffn);
  }
  return groups;
}
