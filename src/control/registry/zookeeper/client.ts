/** What a registry asks of the tree, each as one request or as few as it takes. Rejections are ZooKeeperErrors, with server and path in their text. */
import type { JuteReader } from './jute.js';
import {
  CODE,
  type CreateStep,
  isCode,
  OP,
  readReplaceFailure,
  readStat,
  type Stat,
  writeCreate,
  writeDelete,
  writeReplace,
  ZooKeeperError,
} from './messages.js';
import { parentOf } from './node-paths.js';
import type { Session, WatchWish } from './session.js';

/** What others change at the same time is tried again so often: never for ever against another living process. */
const TRIES_MAX = 5;

export interface NodeContent {
  readonly data: Buffer;
  readonly stat: Stat;
}

export class ZooKeeperClient {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  /** Names of the children; null when there is no such node. */
  children(path: string, watch?: WatchWish): Promise<string[] | null> {
    return orNull(this.#ask(path, OP.getChildren, (reader) => reader.texts(), watch));
  }

  /** Null when there is no such node; the watch stays on it otherwise. */
  content(path: string, watch?: WatchWish): Promise<NodeContent | null> {
    // A copy: the data is a view into everything that arrived with it.
    const read = (reader: JuteReader): NodeContent => ({
      data: Buffer.from(reader.buffer()),
      stat: readStat(reader),
    });
    return orNull(this.#ask(path, OP.getData, read, watch));
  }

  /** Null when there is no such node; the watch then waits for it. */
  stat(path: string, watch?: WatchWish): Promise<Stat | null> {
    return orNull(this.#ask(path, OP.exists, readStat, watch));
  }

  /**
   * Makes sure that exactly `created` stands there in the name of our session, and nothing at `removed`: all at once, so that nobody sees
   * neither. False, and nothing is done, where `mayReplace` wants what another session has there to stay.
   */
  async place(
    created: CreateStep,
    removed: string | null,
    mayReplace: (theirs: Buffer) => boolean = () => true,
  ): Promise<boolean> {
    for (let tries = 0; tries < TRIES_MAX; tries += 1) {
      const [own, other] = await Promise.all([
        this.content(created.path),
        removed === null ? null : this.stat(removed),
      ]);
      const isOurs =
        own?.stat.ephemeralOwner === this.#session.id && own.data.toString('utf8') === created.data;
      if (isOurs && other === null) return true;
      if (own !== null && own.stat.ephemeralOwner !== this.#session.id && !mayReplace(own.data)) return false;
      const deleted: string[] = [];
      if (removed !== null && other !== null) deleted.push(removed);
      if (own !== null) deleted.push(created.path);
      const failure = await this.#replace(deleted, created);
      if (failure === null) return true;
      const isParentMissing = failure.code === CODE.noNode && failure.index === deleted.length;
      if (isParentMissing) await this.#ensure(parentOf(created.path));
      else if (failure.code !== CODE.noNode && failure.code !== CODE.nodeExists)
        throw this.#session.error(failure.code, deleted[failure.index] ?? created.path);
    }
    throw new Error(`${created.path}: somebody else changes it all the time`);
  }

  /**
   * Takes out what is ours or, unless told otherwise, nobody's. What another session keeps alive belongs to another process, which took our
   * place.
   */
  async remove(path: string, isNobodysOurs = true): Promise<void> {
    const stat = await this.stat(path);
    if (stat === null) return;
    const { ephemeralOwner } = stat;
    if (ephemeralOwner !== this.#session.id && !(ephemeralOwner === 0n && isNobodysOurs)) return;
    await orNull(this.#session.request(path, OP.delete, (writer) => writeDelete(writer, path), nothing));
  }

  #ask<T>(path: string, type: number, read: (reader: JuteReader) => T, watch?: WatchWish): Promise<T> {
    return this.#session.request(
      path,
      type,
      (writer) => writer.text(path).bool(watch !== undefined),
      read,
      watch,
    );
  }

  async #replace(
    deleted: readonly string[],
    created: CreateStep,
  ): Promise<{ readonly index: number; readonly code: number } | null> {
    const write = (writer: Parameters<typeof writeReplace>[0]): void =>
      writeReplace(writer, deleted, created);
    return await this.#session.request(created.path, OP.multi, write, readReplaceFailure);
  }

  /** From below: whoever may not create in the root need not, when the rest is there. */
  async #ensure(path: string): Promise<void> {
    if (path === '') return;
    const node = { path, data: '', isEphemeral: false };
    const create = (): Promise<void> =>
      this.#session.request(path, OP.create, (writer) => writeCreate(writer, node), nothing);
    try {
      await create();
    } catch (error) {
      if (isCode(error, CODE.nodeExists)) return;
      if (!isCode(error, CODE.noNode)) throw error;
      await this.#ensure(parentOf(path));
      try {
        await create();
      } catch (again) {
        if (!isCode(again, CODE.nodeExists)) throw again;
      }
    }
  }
}

function nothing(): void {}

async function orNull<T>(answer: Promise<T>): Promise<T | null> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof ZooKeeperError && error.code === CODE.noNode) return null;
    throw error;
  }
}
