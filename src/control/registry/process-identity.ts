/**
 * Which process is it, and does it still run: pid, start time and boot, so that a reused pid is not taken for its predecessor.
 *
 * A process is gone when the machine was started anew, when nobody has its pid, when the pid was given to another process,
 * or when only its zombie is left. Where that cannot be known (another container's pids, no /proc) it counts as running:
 * a node that is listed in vain costs one failed connect, a serving node that is not listed costs its calls.
 */
import { readFileSync, readlinkSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { AgentError } from '../../core/index.js';
import { fileErrorCode } from './atomic-file.js';

export interface ProcessIdentity {
  readonly pid: number;
  /** Field 22 of /proc/<pid>/stat, clock ticks after boot; null where there is no /proc. */
  readonly startTicks: string | null;
  /** /proc/sys/kernel/random/boot_id; null where there is none. */
  readonly boot: string | null;
  /** The pid namespace, as `pid:[4026531836]`; null where it cannot be read. */
  readonly pidNamespace: string | null;
}

/** Read while the registry is made: three tiny files that no disk is asked for. */
export function ownIdentity(): ProcessIdentity {
  const stat = orNull(() => readFileSync('/proc/self/stat', 'utf8'));
  const boot = orNull(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8'));
  return {
    pid: process.pid,
    startTicks: stat === null ? null : (parseStat(stat)?.startTicks ?? null),
    boot: boot === null ? null : boot.trim(),
    pidNamespace: orNull(() => readlinkSync('/proc/self/ns/pid')),
  };
}

/** The process that has `pid` now, as `self` sees it; null when none has, or only its zombie, or there is no /proc. */
export function identityOf(pid: number, self: ProcessIdentity): ProcessIdentity | null {
  if (!Number.isSafeInteger(pid) || pid < 1) return null;
  const text = orNull(() => readFileSync(`/proc/${pid}/stat`, 'utf8'));
  const stat = text === null ? null : parseStat(text);
  if (stat === null || stat.state === 'Z' || stat.state === 'X') return null;
  return { ...self, pid, startTicks: stat.startTicks };
}

/** Throws AgentError `E_REGISTRY_FILE` when `value` is no identity. */
export function parseIdentity(value: unknown): ProcessIdentity {
  const { pid, startTicks, boot, pidNamespace } = Object(value) as Record<string, unknown>;
  const isText = (field: unknown): field is string | null => field === null || typeof field === 'string';
  if (
    !Number.isSafeInteger(pid) ||
    (pid as number) < 1 ||
    !isText(startTicks) ||
    !isText(boot) ||
    !isText(pidNamespace)
  ) {
    throw new AgentError('E_REGISTRY_FILE', '"owner" must have pid, startTicks, boot and pidNamespace');
  }
  return { pid: pid as number, startTicks, boot, pidNamespace };
}

/** Equal for the same process, and only for it. */
export function processKey({ pid, startTicks, boot, pidNamespace }: ProcessIdentity): string {
  return `${pid} ${startTicks} ${boot} ${pidNamespace}`;
}

export function isSameProcess(one: ProcessIdentity, other: ProcessIdentity): boolean {
  return processKey(one) === processKey(other);
}

/** Whether `owner` runs, as far as `self` can see. */
export async function isRunning(owner: ProcessIdentity, self: ProcessIdentity): Promise<boolean> {
  if (owner.boot !== self.boot) return owner.boot === null || self.boot === null;
  if (owner.pidNamespace !== self.pidNamespace) return true;
  if (isSameProcess(owner, self)) return true;
  try {
    const stat = parseStat(await readFile(`/proc/${owner.pid}/stat`, 'utf8'));
    if (stat === null || owner.startTicks === null) return true;
    return stat.startTicks === owner.startTicks && stat.state !== 'Z' && stat.state !== 'X';
  } catch (error) {
    if (!['ENOENT', 'ESRCH'].includes(fileErrorCode(error))) return true;
    // /proc may be mounted so that it hides the processes of other users: only the kernel's word counts.
    return hasPid(owner.pid);
  }
}

/** Says whether an owner runs. */
export type Liveness = (owner: ProcessIdentity) => Promise<boolean>;

/** `isRunning` that asks once about each owner: for one scan or one sweep, not for longer. */
export function rememberedLiveness(self: ProcessIdentity): Liveness {
  const answers = new Map<string, Promise<boolean>>();
  return (owner) => {
    const key = processKey(owner);
    let answer = answers.get(key);
    if (answer === undefined) {
      answer = isRunning(owner, self);
      answers.set(key, answer);
    }
    return answer;
  };
}

/** State and start time of the text of /proc/<pid>/stat; the name in it may have blanks and brackets. */
export function parseStat(text: string): { readonly state: string; readonly startTicks: string } | null {
  const fields = text
    .slice(text.lastIndexOf(')') + 1)
    .trim()
    .split(/\s+/);
  const state = fields[0];
  const startTicks = fields[19];
  return state === undefined || startTicks === undefined ? null : { state, startTicks };
}

/** Signal 0 reaches nobody; it only asks whether there is somebody. */
function hasPid(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return fileErrorCode(error) !== 'ESRCH';
  }
}

function orNull(read: () => string): string | null {
  try {
    return read();
  } catch (error) {
    if (fileErrorCode(error) === '') throw error;
    return null;
  }
}
