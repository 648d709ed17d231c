/**
 * node:test events as JSON lines, for scripts/run-tests.mjs. One object a line:
 *
 *   { kind: 'start' | 'pass' | 'fail', name, nesting, suite, skip, todo, ms, error, ofSubtests }
 *
 * Runs inside the process of the test file, so errors are still real and are printed here, in full.
 */
import { inspect } from 'node:util';

// biome-ignore lint/style/noDefaultExport: node:test takes a reporter from the default export
export default async function* report(events) {
  for await (const { type, data } of events) {
    if (type === 'test:dequeue') yield line({ kind: 'start', name: data.name, nesting: data.nesting });
    if (type === 'test:pass') yield line({ kind: 'pass', ...outcome(data) });
    if (type === 'test:fail') yield line({ kind: 'fail', ...outcome(data), ...failure(data.details?.error) });
  }
}

function outcome(data) {
  return {
    name: data.name,
    nesting: data.nesting,
    suite: data.details?.type === 'suite',
    skip: data.skip === undefined || data.skip === false ? null : String(data.skip),
    todo: data.todo === undefined || data.todo === false ? null : String(data.todo),
    ms: data.details?.duration_ms ?? 0,
  };
}

function failure(error) {
  // node wraps what the test threw; a parent that fails only for its subtests has nothing of its own to say.
  const cause = error?.code === 'ERR_TEST_FAILURE' ? (error.cause ?? error) : error;
  return {
    ofSubtests: error?.failureType === 'subtestsFailed',
    error: typeof cause === 'string' ? cause : inspect(cause, { depth: 6, maxStringLength: 4000 }),
  };
}

function line(value) {
  return `${JSON.stringify(value)}\n`;
}
