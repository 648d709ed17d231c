/** The simplest sign of life of a backend: it accepts a connection. */
import { dial, type IoLoop } from '../transport/index.js';

export type ConnectTarget = { readonly host: string; readonly port: number } | { readonly path: string };

export interface ProbeDeps {
  readonly loop: IoLoop;
  readonly useRaw: boolean;
}

/** Connects and closes at once. `done` gets null, or what the system said. */
export function probeConnect(
  deps: ProbeDeps,
  target: ConnectTarget,
  timeoutMs: number,
  done: (trouble: string | null) => void,
): void {
  dial(deps.loop, target, timeoutMs, deps.useRaw, (stream, error) => {
    stream?.close(null);
    done(stream === null ? (error ?? 'no connection') : null);
  });
}
