/**
 * What a test does when the other side of an interop test cannot be had on this machine: a loud skip for a developer,
 * a failure where `CI` is set, because there every peer is promised to be there.
 */
import type { TestContext } from 'node:test';

/**
 * True when the test may go on. Otherwise the test is marked as skipped with the peer's name and what would bring it,
 * and the caller returns: `if (!peerOrSkip(t, 'motan-go', found !== null, 'install Go')) return;`
 *
 * @throws Error where `CI` is set (to anything but empty, `0` or `false`).
 */
export function peerOrSkip(t: TestContext, name: string, available: boolean, hint: string): boolean {
  if (available) return true;
  const reason = `peer ${name} is missing: ${hint}`;
  if (isCi()) throw new Error(`${reason} (CI promises every peer)`);
  t.skip(reason);
  return false;
}

/** As most build services set it. */
export function isCi(): boolean {
  return !['', '0', 'false'].includes(process.env.CI ?? '');
}
