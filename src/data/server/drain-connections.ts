/** How the connections of a listener end when the agent stops: each says its end when it is quiet, and its peer has time to read it. */
import type { Clock } from '../../core/index.js';

/** A draining connection stays half-closed for this long, so that its peer reads the last answers before the close. */
const LINGER_MS = 100;
const DRAIN_LOOK_MS = 5;

export interface DrainingConnection {
  /** Says the end once nothing is in flight and the caller has been quiet for a moment. */
  sayEndWhenQuiet(nowMs: number): void;
  /** True when it has said all it had to say. */
  readonly hasSaidAll: boolean;
}

/** Until all connections are closed, or have said all and their peers had LINGER_MS to read it; at most `withinMs`. */
export function whenSaidAll(
  connections: ReadonlySet<DrainingConnection>,
  clock: Clock,
  withinMs: number,
): Promise<void> {
  const untilMs = clock.nowMs() + withinMs;
  let lingerUntilMs = Number.POSITIVE_INFINITY;
  return new Promise((resolve) => {
    const look = (): void => {
      const nowMs = clock.nowMs();
      for (const connection of connections) connection.sayEndWhenQuiet(nowMs);
      const isSaid = [...connections].every((connection) => connection.hasSaidAll);
      if (isSaid && lingerUntilMs > untilMs) lingerUntilMs = nowMs + LINGER_MS;
      if (connections.size > 0 && nowMs < Math.min(untilMs, lingerUntilMs)) return;
      clearInterval(timer);
      resolve();
    };
    const timer = setInterval(look, DRAIN_LOOK_MS);
    look();
  });
}
