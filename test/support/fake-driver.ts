/** A registry server as a test plays it: up and down as told, with what is listed in a map. */

import type {
  CommandSource,
  DriverEvents,
  DriverWatch,
  RegistryDriver,
  WatchEvents,
} from '../../src/control/registry/server/driver.js';
import type { Availability, CommandListener, CommandScope, MeshUrl } from '../../src/core/index.js';

export class FakeDriver implements RegistryDriver {
  readonly address = 'fake:1';
  /** Node identity to what is listed of it. */
  readonly listed = new Map<string, { node: MeshUrl; availability: Availability }>();
  readonly steps: string[] = [];
  events!: DriverEvents;
  readonly watches = new Set<{ readonly refer: MeshUrl; readonly events: WatchEvents }>();
  readonly commandWatches = new Set<{ readonly scope: CommandScope; readonly listener: CommandListener }>();
  readonly commands: { -readonly [name in keyof CommandSource]: CommandSource[name] } = {
    placeOf: (scope) => {
      const name = scope.kind === 'service' ? scope.group : scope.application;
      if (name === '') throw new Error('no name');
      return `/fake/${name}`;
    },
    watch: (scope, listener) => {
      const watch = { scope, listener };
      this.commandWatches.add(watch);
      return { close: () => void this.commandWatches.delete(watch) };
    },
  };
  /** Thrown by the next steps, first in first out. */
  failures: string[] = [];
  isClosed = false;

  start(events: DriverEvents): void {
    this.events = events;
  }

  async put(node: MeshUrl, availability: Availability): Promise<void> {
    this.#step(`put ${node.port} ${availability}`);
    this.listed.set(node.identity, { node, availability });
  }

  async remove(node: MeshUrl): Promise<void> {
    this.#step(`remove ${node.port}`);
    this.listed.delete(node.identity);
  }

  async look(node: MeshUrl): Promise<Availability | 'absent'> {
    return this.listed.get(node.identity)?.availability ?? 'absent';
  }

  watch(refer: MeshUrl, events: WatchEvents): DriverWatch {
    const watch = { refer, events };
    this.watches.add(watch);
    return { close: () => void this.watches.delete(watch) };
  }

  async close(): Promise<void> {
    this.isClosed = true;
  }

  #step(text: string): void {
    this.steps.push(text);
    const failure = this.failures.shift();
    if (failure !== undefined) throw new Error(failure);
  }
}
