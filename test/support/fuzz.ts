/**
 * Seeded fuzzing: what a target is, how inputs are made, how long it runs.
 *
 *   PEONY_FUZZ_SECONDS   seconds per target, default 5
 *   PEONY_FUZZ_SEED      seed, default drawn from the clock; printed, so that a failure can be repeated
 */
import { performance } from 'node:perf_hooks';
import type { Random } from '../../src/core/index.js';

export const FUZZ_MS = positive(process.env.PEONY_FUZZ_SECONDS, 5) * 1000;
export const FUZZ_SEED = positive(process.env.PEONY_FUZZ_SEED, Date.now() % 2 ** 31);

function positive(text: string | undefined, otherwise: number): number {
  const value = Number(text ?? otherwise);
  if (!Number.isFinite(value) || value <= 0) throw new Error(`${text} is not a positive number`);
  return value;
}

/** mulberry32: small, fast, the same everywhere. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function below(random: Random, bound: number): number {
  return Math.floor(random() * bound);
}

export function pick<T>(random: Random, items: readonly T[]): T {
  return items[below(random, items.length)]!;
}

export function randomBytes(random: Random, size: number): Buffer {
  const bytes = Buffer.allocUnsafe(size);
  for (let index = 0; index < size; index += 1) bytes[index] = below(random, 256);
  return bytes;
}

const SIZES = [
  0, 1, 2, 0x7f, 0x80, 0xff, 0x100, 0x3ff, 0x400, 0xffff, 0x10000, 0x00a00000, 0x7fffffff, 0x80000000,
  0xffffffff,
];

/** One to four changes of a seed: bits flipped, bytes replaced, pieces cut, doubled, inserted, sizes inflated, seeds crossed. */
export function mutate(random: Random, seeds: readonly Buffer[]): Buffer {
  let bytes = Buffer.from(pick(random, seeds));
  for (let rounds = 1 + below(random, 4); rounds > 0; rounds -= 1) bytes = change(random, bytes, seeds);
  return bytes;
}

function change(random: Random, bytes: Buffer<ArrayBuffer>, seeds: readonly Buffer[]): Buffer<ArrayBuffer> {
  const at = below(random, bytes.length + 1);
  const until = Math.min(bytes.length, at + below(random, 16));
  switch (below(random, 8)) {
    case 0:
      if (at < bytes.length) bytes[at] = bytes[at]! ^ (1 << below(random, 8));
      return bytes;
    case 1:
      if (at < bytes.length) bytes[at] = below(random, 256);
      return bytes;
    case 2:
      return bytes.subarray(0, at);
    case 3:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(until)]);
    case 4:
      return Buffer.concat([bytes.subarray(0, until), bytes.subarray(at)]);
    case 5:
      return Buffer.concat([
        bytes.subarray(0, at),
        randomBytes(random, below(random, 16)),
        bytes.subarray(at),
      ]);
    case 6:
      if (at + 4 <= bytes.length) bytes.writeUInt32BE(pick(random, SIZES), at);
      return bytes;
    default: {
      const other = pick(random, seeds);
      return Buffer.concat([bytes.subarray(0, at), other.subarray(below(random, other.length + 1))]);
    }
  }
}

/** Every single-byte flip (two patterns) and every cut of each seed, small seeds only: a fixed set, not bound by time. */
export function* everyFlipAndCut(seeds: readonly Buffer[], bytesMax: number): Generator<Buffer> {
  for (const seed of seeds) {
    if (seed.length > bytesMax) continue;
    for (let at = 0; at < seed.length; at += 1) {
      for (const pattern of [0xff, 0x01, 0x80]) {
        const flipped = Buffer.from(seed);
        flipped[at] = flipped[at]! ^ pattern;
        yield flipped;
      }
      yield seed.subarray(0, at);
    }
  }
}

export interface FuzzReport {
  readonly inputs: number;
  readonly slowestMs: number;
}

/**
 * Feeds `target` for FUZZ_MS; it throws when it finds a defect. The error then names seed and input.
 * @param inputMsMax an input that takes longer, each time, is a defect
 */
export function fuzz(
  target: (input: Buffer) => void,
  inputs: (random: Random) => Buffer,
  inputMsMax: number,
): FuzzReport {
  const random = seededRandom(FUZZ_SEED);
  const endMs = performance.now() + FUZZ_MS;
  let count = 0;
  let slowestMs = 0;
  for (let nowMs = performance.now(); nowMs < endMs; count += 1) {
    const input = inputs(random);
    let tookMs = attemptMs(target, input);
    // A machine that had other work for a moment: a slow input is slow each time.
    for (let again = 0; tookMs > inputMsMax && again < SLOW_REPEATS; again += 1)
      tookMs = Math.min(tookMs, attemptMs(target, input));
    nowMs = performance.now();
    slowestMs = Math.max(slowestMs, tookMs);
    if (tookMs > inputMsMax) throw new Error(`took ${tookMs} ms; seed ${FUZZ_SEED}, input ${shown(input)}`);
  }
  return { inputs: count, slowestMs };
}

const SLOW_REPEATS = 3;

function attemptMs(target: (input: Buffer) => void, input: Buffer): number {
  const startMs = performance.now();
  attempt(target, input);
  return performance.now() - startMs;
}

/** Runs `target` once; a defect is thrown with the input that shows it. */
export function attempt(target: (input: Buffer) => void, input: Buffer): void {
  try {
    target(input);
  } catch (error) {
    throw new Error(`seed ${FUZZ_SEED}, input ${shown(input)}`, { cause: error });
  }
}

function shown(input: Buffer): string {
  const hex = input.subarray(0, 4096).toString('hex');
  return input.length > 4096 ? `${hex}... (${input.length} bytes)` : hex;
}
