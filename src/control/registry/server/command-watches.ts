/** The commands of a registry server: each scope is watched once for all who want it, and trouble is told once per outage. */
import {
  type CommandListener,
  type CommandScope,
  commandScopeKey,
  type Logger,
  messageOf,
  type Subscription,
} from '../../../core/index.js';
import type { CommandSource, DriverWatch } from './driver.js';

export interface CommandWatchesDeps {
  readonly source: CommandSource | null;
  readonly logger: Logger;
  /** Why the server cannot be asked; null while it can. */
  serverTrouble(): string | null;
  onContact(): void;
}

interface Watched {
  readonly scope: CommandScope;
  readonly listeners: Set<CommandListener>;
  watch: DriverWatch | null;
  /** Undefined before the first answer. */
  text: string | null | undefined;
  trouble: string | null;
}

export class CommandWatches {
  readonly #deps: CommandWatchesDeps;
  readonly #watched = new Map<string, Watched>();

  constructor(deps: CommandWatchesDeps) {
    this.#deps = deps;
  }

  /** The first trouble with a text alone; null when all can be read. */
  get trouble(): string | null {
    for (const { trouble } of this.#watched.values()) if (trouble !== null) return trouble;
    return null;
  }

  placeOf(scope: CommandScope): string | null {
    const { source } = this.#deps;
    if (source === null) return null;
    try {
      return source.placeOf(scope);
    } catch (error) {
      // It can stand nowhere; that it cannot be watched is told to the listeners.
      return messageOf(error);
    }
  }

  subscribe(scope: CommandScope, listener: CommandListener): Subscription {
    const { source } = this.#deps;
    if (source === null) return { close: () => {} };
    const watched = this.#watchedOf(scope, source);
    // A listener of our own for each subscription: the same one may be given twice.
    const own: CommandListener = {
      onCommand: (text) => listener.onCommand(text),
      onTrouble: (message) => listener.onTrouble(message),
    };
    watched.listeners.add(own);
    setImmediate(() => {
      if (!watched.listeners.has(own)) return;
      if (watched.text !== undefined) own.onCommand(watched.text);
      const trouble = watched.trouble ?? this.#deps.serverTrouble();
      if (trouble !== null) own.onTrouble(trouble);
    });
    return { close: () => this.#unsubscribe(watched, own) };
  }

  /** The server cannot be asked. */
  onDown(trouble: string): void {
    for (const { listeners } of this.#watched.values())
      for (const listener of [...listeners]) listener.onTrouble(trouble);
  }

  close(): void {
    for (const { watch, listeners } of this.#watched.values()) {
      listeners.clear();
      watch?.close();
    }
    this.#watched.clear();
  }

  #watchedOf(scope: CommandScope, source: CommandSource): Watched {
    const key = commandScopeKey(scope);
    const known = this.#watched.get(key);
    if (known !== undefined) return known;
    const watched: Watched = { scope, listeners: new Set(), watch: null, text: undefined, trouble: null };
    this.#watched.set(key, watched);
    // Later: a listener is never told before `subscribe` has returned.
    setImmediate(() => {
      if (this.#watched.get(key) !== watched) return;
      try {
        watched.watch = source.watch(scope, {
          onCommand: (text) => this.#onCommand(watched, text),
          onTrouble: (trouble) => this.#onTrouble(watched, trouble),
        });
      } catch (error) {
        this.#onTrouble(watched, messageOf(error));
      }
    });
    return watched;
  }

  #unsubscribe(watched: Watched, own: CommandListener): void {
    if (!watched.listeners.delete(own) || watched.listeners.size > 0) return;
    watched.watch?.close();
    const key = commandScopeKey(watched.scope);
    if (this.#watched.get(key) === watched) this.#watched.delete(key);
  }

  #onCommand(watched: Watched, text: string | null): void {
    this.#deps.onContact();
    watched.text = text === null || text.trim() === '' ? null : text;
    watched.trouble = null;
    for (const listener of [...watched.listeners]) listener.onCommand(watched.text);
  }

  #onTrouble(watched: Watched, trouble: string): void {
    if (watched.trouble === trouble) return;
    watched.trouble = trouble;
    this.#deps.logger.warn({ trouble }, 'a command cannot be read');
    for (const listener of [...watched.listeners]) listener.onTrouble(trouble);
  }
}
