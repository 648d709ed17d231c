/** Starts background work by name, so that no failure of a task is ever silent. */
import { messageOf } from './errors.js';
import type { Logger } from './logger.js';

const failures = new Map<string, number>();

/** Runs `work`; a rejection is logged with the task's name and counted. */
export function background(name: string, logger: Logger, work: () => Promise<void>): void {
  work().catch((error: unknown) => {
    failures.set(name, (failures.get(name) ?? 0) + 1);
    logger.error({ task: name, error: messageOf(error) }, 'a background task failed');
  });
}

/** Failures per task since start: for metrics. */
export function backgroundFailures(): ReadonlyMap<string, number> {
  return failures;
}
