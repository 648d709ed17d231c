import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { Clock } from '../../../src/core/index.js';
import { RotatingFile, rotatedPath } from '../../../src/telemetry/rotating-file.js';

class FakeClock implements Clock {
  wall = new Date(2026, 10, 23, 15, 30, 0).getTime();
  now = 0;
  nowMs(): number {
    return this.now;
  }
  wallMs(): number {
    return this.wall;
  }
  advanceMs(ms: number): void {
    this.wall += ms;
    this.now += ms;
  }
}

let directory: string;
let clock: FakeClock;
const opened: RotatingFile[] = [];

beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rotating-'));
  clock = new FakeClock();
});

afterEach(async () => {
  for (const file of opened.splice(0)) await file.close();
  fs.rmSync(directory, { recursive: true, force: true });
});

function openFile(
  target: string,
  waitingBytesMax = 1000,
  onTrouble?: (message: string) => void,
): RotatingFile {
  const file = new RotatingFile({
    target,
    rotatePerHour: true,
    waitingBytesMax,
    clock,
    ...(onTrouble === undefined ? {} : { onTrouble }),
  });
  opened.push(file);
  return file;
}

function append(file: RotatingFile, text: string): void {
  file.append(Buffer.from(text), text.split('\n').length - 1, null);
}

/** A target that answers ENOSPC. A link in our own directory: the device itself is never a target of a test. */
function fullDisk(): string {
  const target = path.join(directory, 'full.log');
  fs.symlinkSync('/dev/full', target);
  return target;
}

/** Turns the event loop until `holds`; the test runner's timeout is the bound. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await turn();
}

/** Empty while there is no such file; a rotation may take it away at any moment. */
function textOf(file: string): string {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, 'ENOENT');
    return '';
  }
}

/** Open descriptors of this process under the directory of the test. */
function openDescriptors(): number {
  return fs.readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return fs.readlinkSync(`/proc/self/fd/${fd}`).startsWith(directory);
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, 'ENOENT');
      return false;
    }
  }).length;
}

test('lines arrive whole and in order, and every chunk is given back once', async () => {
  const target = path.join(directory, 'deep', 'a.log');
  const file = openFile(target, 1_000_000);
  const released: string[] = [];
  const lines = Array.from({ length: 1000 }, (_, index) => `line ${index}\n`);

  for (const line of lines) file.append(Buffer.from(line), 1, (chunk) => released.push(chunk.toString()));
  await file.close();

  assert.equal(textOf(target), lines.join(''));
  assert.deepEqual(released, lines);
  assert.equal(file.bytesWaiting, 0);
});

test('a full hour renames the file after the hour before', async () => {
  const target = path.join(directory, 'prog.log');
  const file = openFile(target);
  append(file, 'old\n');
  await until(() => textOf(target) === 'old\n' && file.bytesWaiting === 0);

  clock.advanceMs(1_800_000);
  append(file, 'new\n');
  await until(() => textOf(target) === 'new\n' && file.bytesWaiting === 0);

  assert.equal(textOf(path.join(directory, 'prog-20261123-15.log')), 'old\n');
});

test('a tick rotates a file that nobody writes to', async () => {
  const target = path.join(directory, 'prog.log');
  const file = openFile(target);
  append(file, 'old\n');
  await until(() => textOf(target) === 'old\n' && file.bytesWaiting === 0);

  clock.advanceMs(1_800_000);
  file.tick();
  await until(() => fs.existsSync(path.join(directory, 'prog-20261123-15.log')) && fs.existsSync(target));

  assert.equal(textOf(target), '');
});

test('what is not a regular file is never renamed', async () => {
  const target = path.join(directory, 'fifo.log');
  execFileSync('mkfifo', [target]);
  const file = openFile(target);

  clock.advanceMs(3_600_000);
  append(file, 'x\n');
  await until(() => file.errors === 1);

  assert.deepEqual(fs.readdirSync(directory), ['fifo.log']);
});

test('the name of a rotated file crosses midnight backwards', () => {
  assert.equal(
    rotatedPath('/l/p-access.log', new Date(2027, 0, 1, 0, 0, 0).getTime()),
    '/l/p-access-20261231-23.log',
  );
});

test('a full disk drops beyond the bound, counts, and is told once', async () => {
  const troubles: string[] = [];
  const file = openFile(fullDisk(), 20, (message) => troubles.push(message));

  append(file, 'first line\n');
  await until(() => file.errors === 1);
  append(file, 'second 1\n');
  append(file, 'a\nb\nc\n');
  clock.advanceMs(10_000);
  file.tick();
  await until(() => file.errors === 2);

  assert.equal(file.linesDropped, 3);
  assert.equal(file.bytesWaiting, 20);
  assert.equal(troubles.length, 1);
  assert.match(troubles[0]!, /ENOSPC/);
});

test('while a target fails it is tried after a pause only', async () => {
  const file = openFile(fullDisk());
  append(file, 'x\n');
  await until(() => file.errors === 1);

  for (let count = 0; count < 20; count += 1) {
    append(file, 'x\n');
    await turn();
  }

  assert.equal(file.errors, 1);
});

test('a FIFO that nobody reads holds nothing up, and its lines arrive when somebody does', async () => {
  const target = path.join(directory, 'fifo.log');
  execFileSync('mkfifo', [target]);
  const file = openFile(target);

  append(file, 'kept\n');
  await until(() => file.errors === 1);
  const reader = fs.openSync(target, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
  clock.advanceMs(1000);
  file.tick();
  await until(() => file.bytesWaiting === 0);
  const read = Buffer.alloc(100);
  const bytes = fs.readSync(reader, read);
  fs.closeSync(reader);

  assert.equal(read.toString('utf8', 0, bytes), 'kept\n');
  assert.equal(file.trouble, null);
});

test('a reader of a FIFO that stops reading costs the bound and no more', async () => {
  const target = path.join(directory, 'fifo.log');
  execFileSync('mkfifo', [target]);
  const reader = fs.openSync(target, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
  const file = openFile(target, 100_000);

  const line = `${'x'.repeat(999)}\n`;
  for (let count = 0; count < 400; count += 1) {
    append(file, line);
    await turn();
  }
  await until(() => file.errors > 0);
  fs.closeSync(reader);

  assert.ok(file.linesDropped > 0);
  assert.ok(file.bytesWaiting <= 100_000);
});

test('a directory that vanishes is made again', async () => {
  const target = path.join(directory, 'logs', 'a.log');
  const file = openFile(target);
  append(file, 'lost\n');
  await until(() => textOf(target) === 'lost\n' && file.bytesWaiting === 0);

  fs.rmSync(path.dirname(target), { recursive: true });
  clock.advanceMs(6000);
  file.tick();
  await until(() => fs.existsSync(target));
  append(file, 'kept\n');
  await until(() => textOf(target) === 'kept\n' && file.bytesWaiting === 0);

  assert.equal(file.linesDropped, 0);
});

test('reopening and rotating leave one descriptor open, closing none', async () => {
  const target = path.join(directory, 'a.log');
  const file = openFile(target);
  for (let hour = 0; hour < 30; hour += 1) {
    append(file, `hour ${hour}\n`);
    await until(() => textOf(target) === `hour ${hour}\n` && file.bytesWaiting === 0);
    clock.advanceMs(3_600_000);
  }
  await until(() => openDescriptors() === 1);

  await file.close();
  await until(() => openDescriptors() === 0);

  assert.equal(fs.readdirSync(directory).length, 31);
});

test('what comes after close is dropped and counted', async () => {
  const file = openFile(path.join(directory, 'a.log'));
  await file.close();

  let released = 0;
  file.append(Buffer.from('late\n'), 1, () => {
    released += 1;
  });

  assert.equal(file.linesDropped, 1);
  assert.equal(released, 1);
});

test('the last words of a dying process are written before flushSync returns', async () => {
  const target = path.join(directory, 'a.log');
  const file = openFile(target);
  append(file, 'first\n');
  await until(() => textOf(target) === 'first\n' && file.bytesWaiting === 0);

  // While the first of the two is released nothing is in flight, and the other one waits.
  const dying = new Promise<void>((resolve) => {
    file.append(Buffer.from('second\n'), 1, () => {
      file.flushSync();
      resolve();
    });
  });
  append(file, 'last\n');
  await dying;

  assert.equal(file.bytesWaiting, 0);
  assert.equal(textOf(target), 'first\nsecond\nlast\n');
});
