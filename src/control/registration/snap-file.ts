/**
 * `<runtime_dir>/registry.snap`: what was registered, for a start with `-recover`, in the form of motan-go (spec agent 1.4, 7.3):
 *
 *   {"register_nodes":[url, ...],"subscribe_nodes":[url, ...],"leases":{"<id>":{...}}}
 *
 * `leases` is ours; motan-go passes over it. Written as a whole beside the file and renamed over it.
 */
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { AgentError, type Logger, MeshUrl, messageOf, type RegistrationKind } from '../../core/index.js';

export interface SnapNode {
  readonly kind: RegistrationKind;
  readonly url: MeshUrl;
  readonly id: string | null;
  readonly lease: SnapLease | null;
}

/** A ttl ends at a time of the wall clock here: the monotonic one begins anew with the process. */
export type SnapLease =
  | { readonly kind: 'ttl'; readonly seconds: number; readonly endsAtMs: number }
  | {
      readonly kind: 'process';
      readonly pid: number;
      readonly startTicks: string | null;
      readonly boot: string | null;
      readonly pidNamespace: string | null;
    }
  /** It ended with the agent that held the connection. */
  | { readonly kind: 'connection' };

/** 20,000 urls of 4 KiB. */
const BYTES_MAX = 128 * 1024 * 1024;
const FILE_MODE = 0o644;

export class SnapFile {
  readonly file: string;
  readonly #logger: Logger;
  /** The trouble that lasts; null while the file can be written. */
  trouble: string | null = null;

  constructor(directory: string, logger: Logger) {
    this.file = path.join(directory, 'registry.snap');
    this.#logger = logger;
  }

  /** Never rejects: what is registered stands, whether a disk is full or not. */
  async write(nodes: readonly SnapNode[]): Promise<void> {
    const of = (kind: RegistrationKind): object[] =>
      nodes.filter((node) => node.kind === kind).map(({ url }) => toPosted(url));
    const leases = Object.fromEntries(
      nodes.flatMap(({ id, lease }) => (id === null || lease === null ? [] : [[id, lease]])),
    );
    const hasLeases = Object.keys(leases).length > 0;
    const content = {
      register_nodes: of('service'),
      subscribe_nodes: of('refer'),
      ...(hasLeases ? { leases } : {}),
    };
    try {
      await replace(this.file, JSON.stringify(content));
      if (this.trouble !== null) this.#logger.info({ file: this.file }, 'registrations are saved again');
      this.trouble = null;
    } catch (error) {
      const trouble = messageOf(error);
      if (this.trouble !== trouble)
        this.#logger.error(
          { file: this.file, error: trouble },
          'registrations cannot be saved; a start with -recover would not have them',
        );
      this.trouble = trouble;
    }
  }

  /**
   * What was saved; entries that make no sense are told and left out. A file that is no such file is told, put aside as
   * `registry.snap.broken`, and gives nothing.
   */
  async read(idOf: (kind: RegistrationKind, url: MeshUrl) => string): Promise<readonly SnapNode[]> {
    let text: string;
    try {
      text = await readBounded(this.file);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      this.#logger.error(
        { file: this.file, error: messageOf(error) },
        'saved registrations cannot be read; none is restored',
      );
      return [];
    }
    try {
      return this.#parse(text, idOf);
    } catch (error) {
      await this.#putAside(messageOf(error));
      return [];
    }
  }

  #parse(text: string, idOf: (kind: RegistrationKind, url: MeshUrl) => string): SnapNode[] {
    const value = JSON.parse(text) as unknown;
    if (!isRecord(value)) throw new AgentError('E_SNAP', 'not a JSON object');
    const leases = isRecord(value.leases) ? value.leases : {};
    const nodes: SnapNode[] = [];
    for (const [name, kind] of [
      ['register_nodes', 'service'],
      ['subscribe_nodes', 'refer'],
    ] as const) {
      // Go writes null for an empty list.
      const list = value[name] ?? [];
      if (!Array.isArray(list)) throw new AgentError('E_SNAP', `"${name}" is not a list`);
      for (const [index, item] of list.entries()) {
        try {
          const url = MeshUrl.fromJson(item);
          const id = idOf(kind, url);
          nodes.push({ kind, url, id, lease: parseLease(leases[id]) });
        } catch (error) {
          this.#logger.error(
            { file: this.file, entry: `${name}[${index}]`, error: messageOf(error) },
            'a saved registration makes no sense and is left out',
          );
        }
      }
    }
    return nodes;
  }

  async #putAside(reason: string): Promise<void> {
    const aside = `${this.file}.broken`;
    try {
      await rename(this.file, aside);
      this.#logger.error({ file: this.file, reason, aside }, 'saved registrations are broken; put aside');
    } catch (error) {
      this.#logger.error(
        { file: this.file, reason, error: messageOf(error) },
        'saved registrations are broken, and cannot be put aside',
      );
    }
  }
}

function toPosted(url: MeshUrl): object {
  const plain = url.toJSON();
  const parameters = Object.fromEntries(
    Object.entries(plain.parameters).sort(([one], [other]) => (one < other ? -1 : 1)),
  );
  return { ...plain, parameters };
}

/** Null for none. Throws AgentError `E_SNAP`: a registration that should end must not stay for good. */
function parseLease(value: unknown): SnapLease | null {
  if (value === undefined) return null;
  const lease = isRecord(value) ? value : {};
  const isTextOrNull = (field: unknown): field is string | null =>
    field === null || typeof field === 'string';
  const { kind, seconds, endsAtMs, pid, startTicks, boot, pidNamespace } = lease;
  if (kind === 'connection') return { kind };
  if (kind === 'ttl' && typeof seconds === 'number' && typeof endsAtMs === 'number')
    return { kind, seconds, endsAtMs };
  if (
    kind === 'process' &&
    typeof pid === 'number' &&
    Number.isSafeInteger(pid) &&
    pid > 0 &&
    isTextOrNull(startTicks) &&
    isTextOrNull(boot) &&
    isTextOrNull(pidNamespace)
  )
    return { kind, pid, startTicks, boot, pidNamespace };
  throw new AgentError('E_SNAP', 'its lease makes no sense');
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

async function replace(file: string, text: string): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true });
  const beside = `${file}.${randomBytes(8).toString('hex')}.new`;
  try {
    const handle = await open(beside, 'wx', FILE_MODE);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(beside, file);
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
}

async function readBounded(file: string): Promise<string> {
  // Without blocking: a pipe by that name must not hold up a start.
  const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stat = await handle.stat();
    if (!stat.isFile()) throw new AgentError('E_SNAP', 'not a regular file');
    if (stat.size > BYTES_MAX) throw new AgentError('E_SNAP', `over ${BYTES_MAX} bytes`);
    return await handle.readFile('utf8');
  } finally {
    await handle.close();
  }
}
