/**
 * What this process lists in Redis, and keeps alive there: a value that Redis itself takes away when it was not renewed for a while. No clock
 * is compared with another one.
 *
 *   put -> ours --renewed every third of its time--> ours
 *            '--is not there, or was changed--> lost: told, and put again by who hears it
 *            '--another process has taken it--> theirs: left alone, for as long as they renew it
 *
 * A process that has just begun takes what is listed of its nodes: that is what its predecessor left. One that is overtaken, as the old
 * generation of an agent is by the new one, leaves it to the other, also at its own end.
 */
import {
  type Availability,
  background,
  type Clock,
  isCopy,
  type Logger,
  type MeshUrl,
  messageOf,
  type Random,
} from '../../../core/index.js';
import { isCopyText, nameOf, ownerOfText, ServicePlace, textOfEntry, VALUE_BYTES_MAX } from './layout.js';
import type { RedisAnswer, RedisClient, RedisCommand } from './redis-client.js';

/** The set of names outlives every lease, and is gone some time after the last one. */
const NODES_S = 86_400;
/** Nodes whose leases are renewed with one batch. */
const RENEWALS_AT_ONCE = 100;

/** Renews the first ARGV[2] of the keys, and answers with what all hold: a hundred commands cost us and the server fifty times as much. */
const RENEW_SCRIPT = `local texts = redis.call('MGET', unpack(KEYS))
for i = 1, tonumber(ARGV[2]) do redis.call('PEXPIRE', KEYS[i], ARGV[1]) end
return texts`;
/** Puts a name into each of the sets, and answers with 1 for those that were not there. */
const NAME_SCRIPT = `local added = {}
for i, key in ipairs(KEYS) do
  local answer = redis.pcall('SADD', key, ARGV[i])
  added[i] = answer == 1 and 1 or 0
  redis.pcall('EXPIRE', key, ${NODES_S})
end
return added`;

export interface LeasesDeps {
  readonly client: RedisClient;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly keyPrefix: string;
  /** In every value, so that a process knows its own. */
  readonly owner: string;
  readonly leaseMs: number;
  onLost(node: MeshUrl): void;
  /** The server has answered. */
  onHeard(): void;
}

interface Lease {
  readonly node: MeshUrl;
  readonly place: ServicePlace;
  readonly name: string;
  readonly key: string;
  readonly text: string;
  readonly availability: Availability;
  isTheirs: boolean;
}

export class Leases {
  readonly #deps: LeasesDeps;
  readonly #leases = new Map<string, Lease>();
  #timer: NodeJS.Timeout | null = null;
  #isRenewing = false;
  #rounds = 0;
  /** False where the server lets us run no scripts. */
  #hasScripts = true;
  #isClosed = false;

  constructor(deps: LeasesDeps) {
    this.#deps = deps;
  }

  async put(node: MeshUrl, availability: Availability): Promise<void> {
    const { client, owner } = this.#deps;
    const lease = this.#leaseOf(node, availability);
    const known = this.#leases.get(node.identity);
    const there = known !== undefined || isCopy(node) ? await this.#textAt(lease.key) : null;
    // What a predecessor left is taken over, but by no copy the node itself.
    const mayTakeOver = known === undefined && isCopyText(String(there));
    if (this.#isOthers(there, node) && !mayTakeOver) {
      lease.isTheirs = true;
      this.#leases.set(node.identity, lease);
      return;
    }
    // The node itself may come meanwhile; the next renewal sees it.
    const ifFree = isCopy(node) && there === '' ? ['NX'] : [];
    await client.transact([
      ['set', lease.key, textOfEntry({ node, availability, owner }), 'PX', this.#deps.leaseMs, ...ifFree],
      ['sadd', lease.place.nodesKey, lease.name],
      ['expire', lease.place.nodesKey, NODES_S],
      ['publish', lease.place.channel, lease.name],
    ]);
    this.#leases.set(node.identity, lease);
  }

  async remove(node: MeshUrl): Promise<void> {
    const { client, leaseMs } = this.#deps;
    const { key, name, place } = this.#leaseOf(node, 'unavailable');
    // First, so that no renewal writes its name again.
    this.#leases.delete(node.identity);
    if (!this.#isOthers(await this.#textAt(key), node)) {
      const [removed] = await client.transact([
        ['getrange', key, 0, VALUE_BYTES_MAX],
        ['del', key],
        ['srem', place.nodesKey, name],
        ['publish', place.channel, name],
      ]);
      // Taken by another process in between: theirs again, before they notice.
      if (this.#isOthers(removed!, node)) {
        await client.transact([
          ['set', key, removed as string, 'PX', leaseMs, 'NX'],
          ['sadd', place.nodesKey, name],
          ['publish', place.channel, name],
        ]);
      }
    }
  }

  /** Null while another process lists it: that is left alone. */
  async look(node: MeshUrl): Promise<Availability | 'absent' | null> {
    const lease = this.#leases.get(node.identity);
    if (lease === undefined) return 'absent';
    const text = await this.#textAt(lease.key);
    if (this.#isOthers(text, node)) return null;
    return text === lease.text ? lease.availability : 'absent';
  }

  /** At once, and from then on every third of the lease. */
  renew(): void {
    if (this.#isClosed || this.#isRenewing) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#isRenewing = true;
    background('redis-renew', this.#deps.logger, async () => {
      const { leaseMs, random } = this.#deps;
      let pauseMs = leaseMs / 3;
      try {
        await this.#renewAll();
        if (this.#deps.client.isUp) this.#deps.onHeard();
      } catch (error) {
        pauseMs = leaseMs / 10;
        this.#deps.logger.debug({ error: messageOf(error) }, 'leases could not be renewed');
      }
      this.#isRenewing = false;
      if (this.#isClosed) return;
      // Never later than a third; agents that began together part.
      this.#timer = setTimeout(() => this.renew(), pauseMs * (0.8 + 0.2 * random()));
    });
  }

  close(): void {
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  async #renewAll(): Promise<void> {
    const { client, logger } = this.#deps;
    if (!client.isUp) return;
    // Also notices a server that is silent.
    if (this.#leases.size === 0) await client.batch([['ping']]);
    const batches = [...this.#batches()];
    // One server of a cluster must not keep the leases on the others waiting.
    const renewed = await Promise.allSettled(batches.map((leases) => this.#renewSome(leases)));
    // That a name has vanished is rare; each lease of three renewals sees to it once. It needs memory, which a renewal does not.
    this.#rounds += 1;
    if (this.#rounds % 3 === 1) {
      const named = await Promise.allSettled(batches.map((leases) => this.#nameSome(leases)));
      for (const { reason } of named.filter(isRejected))
        logger.debug({ error: messageOf(reason) }, 'names of nodes could not be renewed');
    }
    const failed = renewed.find(isRejected);
    if (failed !== undefined) throw failed.reason;
  }

  *#batches(): Iterable<readonly Lease[]> {
    const groups = new Map<string, Lease[]>();
    for (const lease of this.#leases.values()) {
      const tag = this.#deps.client.isCluster ? lease.place.tag : '';
      const group = groups.get(tag);
      if (group === undefined) groups.set(tag, [lease]);
      else group.push(lease);
    }
    for (const leases of groups.values())
      for (let at = 0; at < leases.length; at += RENEWALS_AT_ONCE)
        yield leases.slice(at, at + RENEWALS_AT_ONCE);
  }

  async #renewSome(leases: readonly Lease[]): Promise<void> {
    const { leaseMs } = this.#deps;
    const ours = leases.filter(({ isTheirs }) => !isTheirs);
    const all = [...ours, ...leases.filter(({ isTheirs }) => isTheirs)];
    const keys = all.map(({ key }) => key);
    const [texts] = await this.#run(RENEW_SCRIPT, keys, [leaseMs, ours.length], () => [
      // They are ours, so no longer than what we wrote.
      ['mget', ...keys],
      ...ours.map(({ key }): RedisCommand => ['pexpire', key, leaseMs]),
    ]);
    for (const [index, lease] of all.entries())
      this.#onRenewed(lease, (texts as readonly (string | null)[])[index]!);
  }

  async #nameSome(leases: readonly Lease[]): Promise<void> {
    const { client } = this.#deps;
    const listed = leases.filter((lease) => !lease.isTheirs && this.#isCurrent(lease));
    if (listed.length === 0) return;
    const keys = listed.map(({ place }) => place.nodesKey);
    const names = listed.map(({ name }) => name);
    const answers = await this.#run(NAME_SCRIPT, keys, names, () => [
      ...listed.map(({ name, place }): RedisCommand => ['sadd', place.nodesKey, name]),
      ...listed.map(({ place }): RedisCommand => ['expire', place.nodesKey, NODES_S]),
    ]);
    const added: readonly unknown[] = Array.isArray(answers[0]) ? answers[0] : answers;
    // Those were there and nobody could find them.
    const lost = listed.filter((_, index) => added[index] === 1);
    if (lost.length > 0) await client.batch(lost.map(({ name, place }) => ['publish', place.channel, name]));
  }

  /** Answers of the script, alone in a list; or of the commands that do the same, where the server runs no scripts for us. */
  async #run(
    script: string,
    keys: readonly string[],
    args: readonly (string | number)[],
    commands: () => readonly RedisCommand[],
  ): Promise<RedisAnswer[]> {
    const { client, logger } = this.#deps;
    if (this.#hasScripts) {
      try {
        return await client.batch([['eval', script, keys.length, ...keys, ...args]]);
      } catch (error) {
        if (!/NOPERM|unknown command|no permission/i.test(messageOf(error))) throw error;
        this.#hasScripts = false;
        logger.info({ reason: messageOf(error) }, 'no scripts may be run: leases are renewed one by one');
      }
    }
    return await client.batch(commands());
  }

  #onRenewed(lease: Lease, text: string | null): void {
    const { logger, onLost } = this.#deps;
    if (!this.#isCurrent(lease)) return;
    if (this.#isOthers(text, lease.node)) {
      if (!lease.isTheirs)
        logger.info(
          { node: lease.node.identity },
          'another process has announced this node; it is left to it',
        );
      lease.isTheirs = true;
    } else if (text !== lease.text) {
      lease.isTheirs = false;
      onLost(lease.node);
    }
  }

  /** Not put anew, or withdrawn, since it was sent. */
  #isCurrent(lease: Lease): boolean {
    return this.#leases.get(lease.node.identity) === lease;
  }

  #leaseOf(node: MeshUrl, availability: Availability): Lease {
    const place = new ServicePlace(this.#deps.keyPrefix, node);
    const name = nameOf(node);
    const text = textOfEntry({ node, availability, owner: this.#deps.owner });
    return { node, place, name, key: place.nodeKey(name), text, availability, isTheirs: false };
  }

  async #textAt(key: string): Promise<RedisAnswer> {
    const [text] = await this.#deps.client.batch([['getrange', key, 0, VALUE_BYTES_MAX]]);
    return text!;
  }

  /** A copy gives way to everybody, and everybody goes before a copy. */
  #isOthers(text: RedisAnswer | null, node: MeshUrl): boolean {
    if (typeof text !== 'string' || text === '') return false;
    const owner = ownerOfText(text);
    if (owner === this.#deps.owner) return false;
    return isCopy(node) || (owner !== null && !isCopyText(text));
  }
}

function isRejected(result: PromiseSettledResult<void>): result is PromiseRejectedResult {
  return result.status === 'rejected';
}
