#!/usr/bin/env node
/**
 * Writes docs/errors.md from the tables in src/core/failure-codes.ts and in exception-status.ts of the typed calls (built: `npm run build` first).
 * With --check it only tells whether the file is up to date: exit code 1 if not.
 */
import fs from 'node:fs';

const built = (path) => import(new URL(`../dist/${path}`, import.meta.url).href);
const { failureCodes } = await built('core/failure-codes.js');
const { EXCEPTION_STATUSES } = await built('data/server/http/typed/exception-status.js');
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
lines.push(
  '',
  '## HTTP status of exceptions',
  '',
  'What a service, or an agent in front of it, says about its own failures has these statuses in typed calls on the HTTP port. The first row that',
  'fits counts. The problem document that callers get has the code as `code` and the type as `errtype`; `cause` is there only when this agent could not serve',
  'the call, and then the table above has the status. Answers with 429 and 503 have `Retry-After`.',
  '',
  '| code | type | HTTP | meaning |',
  '| --- | --- | --- | --- |',
);
for (const { codes, type, status, meaning } of EXCEPTION_STATUSES) {
  lines.push(`| ${codes.join(', ') || 'any'} | ${type ?? 'any'} | ${status} | ${meaning} |`);
}
const text = `${lines.join('\n')}\n`;

if (process.argv.includes('--check')) {
  const isFresh = fs.existsSync(target) && fs.readFileSync(target, 'utf8') === text;
  if (!isFresh)
    console.error('docs/errors.md is not what its tables in src/ say: run node scripts/gen-docs.mjs');
  process.exitCode = isFresh ? 0 : 1;
} else {
  fs.writeFileSync(target, text);
}
