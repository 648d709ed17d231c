/** `peony decode`: Motan frames as JSON lines. */
import { closeSync, openSync, readSync } from 'node:fs';
import type { Command } from 'commander';
import { AgentError, messageOf } from '../core/index.js';
import { decodeStream } from '../wire/decode/index.js';

/** Input is read whole; a capture larger than this is better cut first. */
const INPUT_BYTES_MAX = 64 * 1024 * 1024;
const EXIT_UNREADABLE = 2;

export interface DecodeIo {
  readonly stdin: AsyncIterable<Buffer | string>;
  write(line: string): void;
  writeError(line: string): void;
  setExitCode(code: number): void;
}

interface DecodeOptions {
  readonly hex?: boolean;
  readonly raw?: boolean;
  readonly file?: string;
}

const PROCESS_IO: DecodeIo = {
  // Touching it opens it, so only the command that reads it does.
  get stdin() {
    return process.stdin;
  },
  write: (line) => process.stdout.write(`${line}\n`),
  writeError: (line) => process.stderr.write(`${line}\n`),
  setExitCode: (code) => {
    process.exitCode = code;
  },
};

const HELP = `
Each frame of Motan2 or Motan v1 becomes one JSON line: protocol, kind (request, response, exception, heartbeat), requestId,
serialization, status, metadata and body. Bodies of simple and breeze are shown as values, where {"$int32": 5} is
a typed value; JSON as text; other serializations, and bodies that cannot be read, as hex. Where the bytes stop
making sense the last line is {"error": ..., "offset": ...}; offsets are bytes of the input, of hex input after it was read.

The argument is hex. A file or standard input is hex when it consists of hex digits and blanks, raw bytes otherwise.
Hex may have blanks, line breaks, ":" and "," between its bytes.

Exit code: 0, or 2 when the input is unreadable or an error line was printed.

Examples:
  peony decode "F1F1 12 08 30 0000000000000005 00000000 00000000"
  peony decode --file capture.bin
  nc -l 9981 | peony decode --raw
  xxd -p frame.bin | peony decode | jq .metadata
`;

/** Adds the command. `io` is replaced in tests. */
export function addDecodeCommand(program: Command, io: DecodeIo = PROCESS_IO): void {
  program
    .command('decode')
    .summary('show Motan frames as JSON lines')
    .description('Shows the Motan frames in hex or raw bytes, one JSON line each.')
    .argument('[input]', 'the bytes; "-" or nothing reads standard input')
    .option('--hex', 'the input is hex, whatever it looks like')
    .option('--raw', 'the input is raw bytes, whatever it looks like')
    .option('--file <path>', 'read the bytes from a file')
    .option('--json', 'accepted for symmetry: the output always is JSON')
    .addHelpText('after', HELP)
    .action(async (input: string | undefined, options: DecodeOptions) => {
      io.setExitCode(await decode(input, options, io));
    });
}

async function decode(input: string | undefined, options: DecodeOptions, io: DecodeIo): Promise<number> {
  let bytes: Buffer;
  try {
    bytes = await readInput(input, options, io);
  } catch (error) {
    io.writeError(`peony decode: ${messageOf(error)}`);
    return EXIT_UNREADABLE;
  }
  const entries = decodeStream(bytes);
  for (const entry of entries) io.write(JSON.stringify(entry));
  const last = entries.at(-1);
  return last !== undefined && 'error' in last ? EXIT_UNREADABLE : 0;
}

async function readInput(input: string | undefined, options: DecodeOptions, io: DecodeIo): Promise<Buffer> {
  if (options.hex === true && options.raw === true)
    throw new AgentError('E_INPUT', '--hex and --raw exclude each other');
  if (options.file !== undefined) {
    if (input !== undefined) throw new AgentError('E_INPUT', 'give the bytes or --file, not both');
    return toBytes(readBounded(options.file), options);
  }
  if (input === undefined || input === '-') return toBytes(await collect(io.stdin), options);
  return options.raw === true ? Buffer.from(input, 'latin1') : fromHex(input);
}

function toBytes(read: Buffer, options: DecodeOptions): Buffer {
  if (options.raw === true) return read;
  const text = read.toString('latin1');
  if (options.hex === true || /^[\s0-9a-fA-FxX:,]*$/.test(text)) return fromHex(text);
  return read;
}

function fromHex(text: string): Buffer {
  const digits = text.replace(/0[xX]|[\s:,]/g, '');
  const wrong = /[^0-9a-fA-F]/.exec(digits);
  if (wrong !== null)
    throw new AgentError('E_INPUT', `not hex: ${JSON.stringify(wrong[0])} after ${wrong.index} digits`);
  if (digits.length % 2 !== 0)
    throw new AgentError('E_INPUT', `hex of ${digits.length} digits ends within a byte`);
  return Buffer.from(digits, 'hex');
}

/** Reads at most the bound, so that a device or a growing file ends as well. */
function readBounded(path: string): Buffer {
  const file = openSync(path, 'r');
  try {
    const chunks: Buffer[] = [];
    let total = 0;
    for (;;) {
      const chunk = Buffer.allocUnsafe(64 * 1024);
      const count = readSync(file, chunk);
      if (count === 0) return Buffer.concat(chunks);
      chunks.push(chunk.subarray(0, count));
      total = checkSize(total + count, path);
    }
  } finally {
    closeSync(file);
  }
}

async function collect(stdin: AsyncIterable<Buffer | string>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let total = 0;
  for await (const chunk of stdin) {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk, 'utf8') : chunk;
    chunks.push(bytes);
    total = checkSize(total + bytes.length, 'standard input');
  }
  return Buffer.concat(chunks);
}

function checkSize(total: number, what: string): number {
  if (total > INPUT_BYTES_MAX) throw new AgentError('E_INPUT', `${what} is over ${INPUT_BYTES_MAX} bytes`);
  return total;
}
