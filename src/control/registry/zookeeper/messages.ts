/**
 * The messages of ZooKeeper's client protocol that a registry needs. No socket here.
 *
 *   frame       | length 4 | ... |
 *   hello       version 4, last zxid 8, timeout 4, session id 8, password, read-only 1
 *   its answer  version 4, timeout 4 (0 or less: the session has expired), session id 8, password, read-only 1 (absent before 3.4)
 *   request     xid 4, type 4, body              answer   xid 4, zxid 8, error 4, body when the error is 0
 *
 * Some xids are no numbers of requests: they say what the message is.
 */
import { ProtocolError } from '../../../core/index.js';
import { JuteReader, JuteWriter } from './jute.js';

export const XID_EVENT = -1;
export const XID_PING = -2;
export const XID_AUTH = -4;
export const XID_SET_WATCHES = -8;

export const OP = {
  create: 1,
  delete: 2,
  exists: 3,
  getData: 4,
  ping: 11,
  getChildren: 8,
  multi: 14,
  auth: 100,
  setWatches: 101,
  closeSession: -11,
} as const;

export const CODE = {
  connectionLoss: -4,
  badArguments: -8,
  noNode: -101,
  noAuth: -102,
  nodeExists: -110,
  notEmpty: -111,
  sessionExpired: -112,
  authFailed: -115,
  sessionMoved: -118,
} as const;

/** For people; other codes are shown as numbers. */
const CODE_TEXTS: ReadonlyMap<number, string> = new Map([
  [-1, 'system error'],
  [-2, 'runtime inconsistency'],
  [CODE.connectionLoss, 'the connection was lost'],
  [-5, 'marshalling error'],
  [-6, 'unimplemented'],
  [CODE.badArguments, 'bad arguments'],
  [CODE.noNode, 'no such node'],
  [CODE.noAuth, 'not permitted'],
  [-103, 'bad version'],
  [-108, 'ephemeral nodes have no children'],
  [CODE.nodeExists, 'the node exists'],
  [CODE.notEmpty, 'the node has children'],
  [CODE.sessionExpired, 'the session has expired'],
  [CODE.authFailed, 'authentication failed'],
  [CODE.sessionMoved, 'the session moved to another server'],
  [-119, 'the server is read-only'],
  [-125, 'quota exceeded'],
  [-127, 'the server is throttling'],
]);

/** An answer with an error code, or none because the connection ended. */
export class ZooKeeperError extends Error {
  readonly code: number;

  constructor(code: number, about: string, more = '') {
    super(`${about}: ${codeText(code)}${more}`);
    this.name = 'ZooKeeperError';
    this.code = code;
  }
}

export function codeText(code: number): string {
  return CODE_TEXTS.get(code) ?? `error ${code}`;
}

export function isCode(error: unknown, code: number): boolean {
  return error instanceof ZooKeeperError && error.code === code;
}

export interface Hello {
  readonly lastZxid: bigint;
  readonly timeoutMs: number;
  /** 0 for a new session. */
  readonly sessionId: bigint;
  readonly password: Buffer;
}

export function helloFrame({ lastZxid, timeoutMs, sessionId, password }: Hello): Buffer {
  const writer = new JuteWriter().int(0).long(lastZxid).int(timeoutMs).long(sessionId);
  return writer.buffer(password).bool(false).toFrame();
}

export interface Welcome {
  /** As the server decided; 0 or less when the session that was asked for has expired. */
  readonly timeoutMs: number;
  readonly sessionId: bigint;
  readonly password: Buffer;
}

export function readWelcome(frame: Buffer): Welcome {
  const reader = new JuteReader(frame);
  reader.int();
  const timeoutMs = reader.int();
  const sessionId = reader.long();
  return { timeoutMs, sessionId, password: Buffer.from(reader.buffer()) };
}

/** A request up to its body. */
export function request(xid: number, type: number): JuteWriter {
  return new JuteWriter().int(xid).int(type);
}

export interface AnswerHead {
  readonly xid: number;
  readonly zxid: bigint;
  readonly code: number;
}

export function readHead(reader: JuteReader): AnswerHead {
  return { xid: reader.int(), zxid: reader.long(), code: reader.int() };
}

export type WatchKind = 'data' | 'exists' | 'children';

export interface WatchEvent {
  readonly type: 'created' | 'deleted' | 'data' | 'children' | 'other';
  readonly path: string;
}

const EVENT_TYPES: ReadonlyMap<number, WatchEvent['type']> = new Map([
  [1, 'created'],
  [2, 'deleted'],
  [3, 'data'],
  [4, 'children'],
]);

export function readEvent(reader: JuteReader): WatchEvent {
  const type = EVENT_TYPES.get(reader.int()) ?? 'other';
  reader.int(); // state of the connection, which we know ourselves
  return { type, path: reader.text() };
}

/** What is known of a node besides its data. */
export interface Stat {
  /** Session that keeps the node alive; 0 for a node that stays. */
  readonly ephemeralOwner: bigint;
}

export function readStat(reader: JuteReader): Stat {
  for (let index = 0; index < 4; index += 1) reader.long(); // czxid, mzxid, ctime, mtime
  for (let index = 0; index < 3; index += 1) reader.int(); // versions of data, children, ACL
  const ephemeralOwner = reader.long();
  reader.int(); // length of the data
  reader.int(); // number of children
  reader.long(); // pzxid
  return { ephemeralOwner };
}

const ANY_VERSION = -1;
const FLAG_EPHEMERAL = 1;
/** read, write, create, delete, admin */
const ALL_RIGHTS = 31;

export interface CreateStep {
  readonly path: string;
  readonly data: string;
  readonly isEphemeral: boolean;
}

/** Everybody may do everything: peers delete and replace nodes that an earlier process of theirs or ours has left (spec agent 6.5). */
export function writeCreate(writer: JuteWriter, { path, data, isEphemeral }: CreateStep): void {
  writer.text(path).text(data);
  writer.int(1).int(ALL_RIGHTS).text('world').text('anyone');
  writer.int(isEphemeral ? FLAG_EPHEMERAL : 0);
}

export function writeDelete(writer: JuteWriter, path: string): void {
  writer.text(path).int(ANY_VERSION);
}

/** Several steps that all happen or none: deletions first, then one creation. */
export function writeReplace(writer: JuteWriter, deleted: readonly string[], created: CreateStep): void {
  for (const path of deleted) {
    writer.int(OP.delete).bool(false).int(-1);
    writeDelete(writer, path);
  }
  writer.int(OP.create).bool(false).int(-1);
  writeCreate(writer, created);
  writer.int(-1).bool(true).int(-1);
}

/** The code of the step that failed, with its place; null when all were done. */
export function readReplaceFailure(
  reader: JuteReader,
): { readonly index: number; readonly code: number } | null {
  let failure: { index: number; code: number } | null = null;
  for (let index = 0; ; index += 1) {
    const type = reader.int();
    const isEnd = reader.bool();
    const headCode = reader.int();
    if (isEnd) return failure;
    if (type === OP.create) reader.text();
    else if (type === -1) {
      const code = reader.int() || headCode;
      // The steps around the failed one say "runtime inconsistency" (after) or 0 (before).
      if (code !== 0 && (failure === null || failure.code === -2)) failure = { index, code };
    } else if (type !== OP.delete) throw new ProtocolError(`result of type ${type} in a transaction`);
  }
}
