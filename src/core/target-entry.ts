/**
 * One entry of `httpProxyAllow`: which servers callers of the HTTP port may reach through the agent.
 *
 *   shop.example.com   shop.example.com:8080   that name
 *   *.example.com      *.example.com:443       every name below the domain, not the domain itself
 *   10.1.2.3           10.1.2.3:80  [::1]:80   that address, however it is named
 *   10.0.0.0/8         fd00::/8                every address of the block, however it is named
 *   *                  *:443                   every name and address
 *
 * Without a port an entry is for all of them.
 */
import { endsInNumber, type IpBlock, parseIpBlock } from '../base/index.js';

export type TargetEntry =
  | { readonly kind: 'any'; readonly port: number }
  /** Lower case, without a final dot. */
  | { readonly kind: 'name'; readonly name: string; readonly port: number }
  /** With its leading dot. */
  | { readonly kind: 'below'; readonly suffix: string; readonly port: number }
  | { readonly kind: 'block'; readonly block: IpBlock; readonly port: number };

/** Port of an entry that has none. */
export const ANY_PORT = 0;
const NAME = /^(?:[0-9a-z_](?:[-0-9a-z_]{0,61}[0-9a-z_])?\.)*[0-9a-z_](?:[-0-9a-z_]{0,61}[0-9a-z_])?$/;
const NAME_CHARACTERS_MAX = 253;

/** The entry, or null when the text is none. */
export function parseTargetEntry(text: string): TargetEntry | null {
  const whole = parseIpBlock(text);
  if (whole !== null) return { kind: 'block', block: whole, port: ANY_PORT };
  const found = /^(\[[^\]]*\]|[^:[\]]+)(?::([1-9]\d{0,4}))?$/.exec(text);
  if (found === null) return null;
  const port = found[2] === undefined ? ANY_PORT : Number(found[2]);
  return port > 65535 ? null : hostEntry(found[1]!, port);
}

function hostEntry(host: string, port: number): TargetEntry | null {
  if (host === '*') return { kind: 'any', port };
  if (host.startsWith('[') || endsInNumber(host)) {
    const block = host.includes('/') ? null : parseIpBlock(host.replace(/^\[|\]$/g, ''));
    return block === null ? null : { kind: 'block', block, port };
  }
  const lower = host.toLowerCase();
  const name = lower.endsWith('.') ? lower.slice(0, -1) : lower;
  const plain = name.startsWith('*.') ? name.slice(2) : name;
  if (plain.length > NAME_CHARACTERS_MAX || !NAME.test(plain) || endsInNumber(plain)) return null;
  return plain === name ? { kind: 'name', name, port } : { kind: 'below', suffix: name.slice(1), port };
}
