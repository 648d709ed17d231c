#!/usr/bin/env node
/**
 * Writes docs/errors.md from the table in src/core/failure-codes.ts (built: `npm run build` first).
 * With --check it only tells whether the file is up to date: exit code 1 if not.
 */
import fs from 'node:fs';

const { failureCodes } = await import(new URL('../dist/core/failure-codes.js', import.meta.url).href);
const target = new URL('../docs/errors.md', import.meta.url);

const lines = [
  '# Errors',
  '',
  'Every call that the agent itself could not serve has one of these causes. Motan callers get the code and type in `M_e`; what a',
  'service says about its own failures passes unchanged. `retry` tells what another try may do: `elsewhere` nothing was sent,',
  '`if-idempotent` the service may have done something, `never` the same call would fail again. This page is made by `node scripts/gen-docs.mjs`.',
  '',
  '| cause | meaning | side | retry | Motan code, type | HTTP | gRPC |',
  '| --- | --- | --- | --- | --- | --- | --- |',
];
for (const [code, row] of Object.entries(failureCodes)) {
  lines.push(
    `| \`${code}\` | ${row.meaning} | ${row.side} | ${row.retry} | ${row.motanCode}, ${row.motanType} | ${row.httpStatus} | ${row.grpcStatus} |`,
  );
}
const text = `${lines.join('\n')}\n`;

if (process.argv.includes('--check')) {
  const isFresh = fs.existsSync(target) && fs.readFileSync(target, 'utf8') === text;
  if (!isFresh)
    console.error('docs/errors.md is not what src/core/failure-codes.ts says: run node scripts/gen-docs.mjs');
  process.exitCode = isFresh ? 0 : 1;
} else {
  fs.writeFileSync(target, text);
}
