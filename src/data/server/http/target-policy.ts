/**
 * Which servers callers of the HTTP port may reach through the agent: the wall against an open proxy and against requests that
 * somebody else has a local program send (SSRF).
 *
 *   the agent's own ports, on any of its addresses          never
 *   loopback, link-local, multicast, unspecified            an entry names that very host, or a block inside that range
 *   anything else                                           an entry names it, or it is a domain of an http-client
 *
 * What is judged are addresses, not names: a name is looked up here, once, and the addresses that may be reached are handed on to
 * be connected to. A second lookup could find others (DNS rebinding). Entries are those of `httpProxyAllow`: core/target-entry.ts.
 */
import { lookup } from 'node:dns';
import {
  endsInNumber,
  type IpAddress,
  type IpBlock,
  ipText,
  isBlockWithin,
  isInBlock,
  parseIp,
  parseIpBlock,
  parseLooseIpv4,
  type WheelTimer,
} from '../../../base/index.js';
import { ANY_PORT, parseTargetEntry, type TargetEntry } from '../../../core/index.js';
import type { IoLoop } from '../../transport/index.js';

/** Who wants to know. */
export interface TargetWaiter {
  /** Told exactly once, possibly before `check` returns. */
  onTarget(verdict: TargetVerdict): void;
}

export type TargetVerdict =
  | {
      readonly kind: 'allowed';
      /** Name or address in its one spelling; IPv6 without brackets. */
      readonly host: string;
      /** Of `host`, checked; at least one, IPv4 first. */
      readonly addresses: readonly string[];
    }
  /** For the caller to read: it names the setting. */
  | { readonly kind: 'refused'; readonly text: string }
  | { readonly kind: 'unresolved'; readonly text: string };

/** Finds all addresses of a name. `error` is null when there are some. */
export type AddressLookup = (
  name: string,
  done: (error: string | null, addresses: readonly string[]) => void,
) => void;

export interface TargetPolicyDeps {
  readonly loop: IoLoop;
  /** TCP ports on which this process listens now, those of the management API included. */
  readonly ownPorts: () => ReadonlySet<number>;
  /** Addresses of this machine, as text. Loopback needs no naming. */
  readonly ownAddresses: readonly string[];
  /** Default: what the system does (`getaddrinfo`). */
  readonly lookup?: AddressLookup;
}

const FOUND_MS = 60_000;
/** A name that could not be looked up is not asked for again at once. */
const TROUBLE_MS = 5000;
const NAMES_MAX = 1024;
/** Lookups under way: the system has four threads for them, which files and zips need, too. */
const LOOKUPS_MAX = 64;
const LOOKUP_MS = 5000;
const NAME_CHARACTERS_MAX = 253;

/** Ranges whose addresses mean this machine, its neighbours, or nobody. */
const SPECIAL: readonly (readonly [string, IpBlock])[] = (
  [
    ['loopback', '127.0.0.0/8', '::1/128'],
    ['unspecified', '0.0.0.0/8', '::/128'],
    ['link-local', '169.254.0.0/16', 'fe80::/10'],
    // As 169.254.169.254 they give credentials of the machine to whoever asks.
    ['cloud metadata', 'fd00:ec2::254', '100.100.100.200', '168.63.129.16'],
    // With the reserved ones behind it and broadcast.
    ['multicast', '224.0.0.0/3', 'ff00::/8'],
  ] as const
).flatMap(([name, ...blocks]) => blocks.map((block) => [name, parseIpBlock(block)!] as const));

/** IPv6 ranges whose addresses hold the IPv4 address that gateways send them on to, and how many bits behind it. */
const EMBEDDING: readonly (readonly [IpBlock, bigint])[] = [
  [parseIpBlock('64:ff9b::/96')!, 0n], // NAT64
  [parseIpBlock('2002::/16')!, 80n], // 6to4
  [parseIpBlock('::/96')!, 0n], // IPv4-compatible; `::` and `::1` are themselves
];

/** How much of a target the entries for names say: that very name, or a rule that it falls under. */
type NameRule = 'none' | 'wide' | 'exact';

export class TargetPolicy {
  readonly #entries: readonly TargetEntry[];
  readonly #loop: IoLoop;
  readonly #ownPorts: () => ReadonlySet<number>;
  readonly #ownAddresses: ReadonlySet<string>;
  readonly #lookup: AddressLookup;
  /** Oldest first. */
  readonly #names = new Map<string, NameLookup>();
  #pending = 0;

  /** @param allow entries of `httpProxyAllow`; what is none allows nothing */
  constructor(allow: readonly string[], deps: TargetPolicyDeps) {
    this.#entries = allow.map(parseTargetEntry).filter((entry) => entry !== null);
    this.#loop = deps.loop;
    this.#ownPorts = deps.ownPorts;
    this.#ownAddresses = new Set(deps.ownAddresses.map(canonicalAddress));
    this.#lookup = deps.lookup ?? systemLookup;
  }

  /**
   * @param host as callers write it: any case, a final dot, IPv6 with or without brackets
   * @param isDomain it is the domain of an http-client, which may be reached without an entry
   */
  check(host: string, port: number, isDomain: boolean, waiter: TargetWaiter): void {
    const name = hostName(host);
    const literal = literalAddress(name);
    if (literal !== null) {
      const text = ipText(literal);
      waiter.onTarget(this.#judge(text, port, [literal], this.#nameRule(text, port, isDomain)));
      return;
    }
    if (name === '' || name.length > NAME_CHARACTERS_MAX || endsInNumber(name)) {
      waiter.onTarget(refused(host, port, 'is not a host name'));
      return;
    }
    const rule = this.#nameRule(name, port, isDomain);
    // Nobody learns by our lookups what names there are, and no lookup is paid for what is refused anyway.
    if (rule === 'none' && !this.#entries.some((entry) => entry.kind === 'block' && isFor(entry, port))) {
      waiter.onTarget(notNamed(name, port));
      return;
    }
    this.#resolve(name, { policy: this, name, port, rule, waiter });
  }

  /** Says what may be done with the addresses that a name turned out to have. */
  answer(asked: Question, found: NameLookup): void {
    const { name, port, rule, waiter } = asked;
    waiter.onTarget(
      found.trouble === null
        ? this.#judge(name, port, found.addresses, rule)
        : { kind: 'unresolved', text: `${name}: ${found.trouble}` },
    );
  }

  #resolve(name: string, asked: Question): void {
    const nowMs = this.#loop.nowMs;
    const known = this.#names.get(name);
    if (known !== undefined && (known.isPending || nowMs < known.validUntilMs)) {
      known.ask(asked);
      return;
    }
    if (this.#pending >= LOOKUPS_MAX) {
      asked.waiter.onTarget({ kind: 'unresolved', text: `${name}: too many names are being looked up` });
      return;
    }
    const found = new NameLookup(this.#loop);
    this.#names.delete(name);
    this.#makeRoom();
    this.#names.set(name, found);
    found.ask(asked);
    this.#pending += 1;
    this.#lookup(name, (error, addresses) => {
      this.#pending -= 1;
      this.#loop.tick();
      found.settle(error, addresses);
    });
  }

  #makeRoom(): void {
    if (this.#names.size < NAMES_MAX) return;
    for (const [name, found] of this.#names) {
      if (found.isPending) continue;
      this.#names.delete(name);
      return;
    }
  }

  #nameRule(name: string, port: number, isDomain: boolean): NameRule {
    let rule: NameRule = isDomain ? 'wide' : 'none';
    for (const entry of this.#entries) {
      if (!isFor(entry, port)) continue;
      if (entry.kind === 'name' && entry.name === name) return 'exact';
      if (entry.kind === 'any' || (entry.kind === 'below' && name.endsWith(entry.suffix))) rule = 'wide';
    }
    return rule;
  }

  #judge(host: string, port: number, found: readonly IpAddress[], rule: NameRule): TargetVerdict {
    const addresses: string[] = [];
    let refusal: string | null = null;
    for (const address of found) {
      const trouble = this.#troubleWith(address, port, rule);
      if (trouble === null) addresses.push(ipText(address));
      else refusal ??= trouble;
    }
    if (addresses.length > 0) return { kind: 'allowed', host, addresses };
    return refusal === NOT_NAMED ? notNamed(host, port) : refused(host, port, refusal ?? 'has no address');
  }

  /** Why that address must not be connected to; null when it may be. */
  #troubleWith(address: IpAddress, port: number, rule: NameRule): string | null {
    const meant = embeddedAddress(address) ?? address;
    const special = SPECIAL.find(([, block]) => isInBlock(meant, block));
    const isOwn = special?.[0] === 'loopback' || special?.[0] === 'unspecified' || this.#isOwn(meant);
    if (isOwn && this.#ownPorts().has(port)) return 'is this agent itself';
    if (special === undefined) {
      return rule !== 'none' || this.#isInBlock(meant, port, null) ? null : NOT_NAMED;
    }
    if (rule === 'exact' || this.#isInBlock(meant, port, special[1])) return null;
    return `is a ${special[0]} address, which httpProxyAllow must name itself`;
  }

  #isOwn(address: IpAddress): boolean {
    return this.#ownAddresses.has(ipText(address));
  }

  /** @param inside the block of the entry must lie in this one; null for any */
  #isInBlock(address: IpAddress, port: number, inside: IpBlock | null): boolean {
    return this.#entries.some(
      (entry) =>
        entry.kind === 'block' &&
        isFor(entry, port) &&
        isInBlock(address, entry.block) &&
        (inside === null || isBlockWithin(entry.block, inside)),
    );
  }
}

const NOT_NAMED = 'is not named by httpProxyAllow';

interface Question {
  readonly policy: TargetPolicy;
  readonly name: string;
  readonly port: number;
  readonly rule: NameRule;
  readonly waiter: TargetWaiter;
}

/** The addresses of one name: being looked up, then known for a while. Those who ask meanwhile share the lookup. */
class NameLookup implements WheelTimer {
  readonly #loop: IoLoop;
  #waiting: Question[] = [];
  isPending = true;
  /** Null when there are addresses. */
  trouble: string | null = null;
  addresses: readonly IpAddress[] = [];
  validUntilMs = 0;
  deadlineMs: number;
  wheelNext: WheelTimer | null = null;
  wheelPrevious: WheelTimer | null = null;
  wheelSlot = -1;

  constructor(loop: IoLoop) {
    this.#loop = loop;
    this.deadlineMs = loop.clock.nowMs() + LOOKUP_MS;
    loop.timers.add(this);
  }

  ask(asked: Question): void {
    if (this.isPending) this.#waiting.push(asked);
    else asked.policy.answer(asked, this);
  }

  settle(error: string | null, addresses: readonly string[]): void {
    const parsed = addresses.map(parseIp).filter((address) => address !== null);
    // IPv4 first: that is what motan-go uses alone, and more of it works.
    this.addresses = parsed.toSorted((one, other) => one.bits - other.bits);
    this.#end(error ?? (parsed.length === 0 ? 'no address' : null));
  }

  /** The lookup itself cannot be ended; what it finds later is still of use to others. */
  onDeadline(): void {
    this.#end(`not looked up within ${LOOKUP_MS} ms`);
  }

  #end(trouble: string | null): void {
    this.#loop.timers.remove(this);
    this.isPending = false;
    this.trouble = trouble;
    this.validUntilMs = this.#loop.nowMs + (trouble === null ? FOUND_MS : TROUBLE_MS);
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const asked of waiting) asked.policy.answer(asked, this);
  }
}

function isFor(entry: TargetEntry, port: number): boolean {
  return entry.port === ANY_PORT || entry.port === port;
}

/** Lower case, without final dots and the brackets of IPv6. */
function hostName(host: string): string {
  const name = host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host;
  return name.toLowerCase().replace(/\.+$/, '');
}

/** The address that a host is, in whatever spelling; null for a name. */
function literalAddress(name: string): IpAddress | null {
  return parseIp(name) ?? (endsInNumber(name) ? parseLooseIpv4(name) : null);
}

function embeddedAddress(address: IpAddress): IpAddress | null {
  if (address.bits === 32 || address.value <= 1n) return null;
  const found = EMBEDDING.find(([block]) => isInBlock(address, block));
  return found === undefined ? null : { bits: 32, value: (address.value >> found[1]) & 0xffff_ffffn };
}

function canonicalAddress(text: string): string {
  const address = parseIp(text.replace(/%.*$/, ''));
  return address === null ? text : ipText(address);
}

function notNamed(host: string, port: number): TargetVerdict {
  return refused(host, port, NOT_NAMED);
}

function refused(host: string, port: number, why: string): TargetVerdict {
  return { kind: 'refused', text: `${host}:${port} ${why}` };
}

function systemLookup(name: string, done: Parameters<AddressLookup>[1]): void {
  lookup(name, { all: true }, (error, found) => {
    if (error !== null) done(error.code ?? error.message, []);
    else
      done(
        null,
        found.map(({ address }) => address.replace(/%.*$/, '')),
      );
  });
}
