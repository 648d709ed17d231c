/** What the commands share in talking to people: exit codes, aligned tables, short numbers and times. */

/** Exit codes of the commands that ask. Those of `run`, `check`, `config` and `decode` stand in their help. */
export const EXIT_OK = 0;
/** The service answered with an exception. */
export const EXIT_EXCEPTION = 1;
/** Wrong use, or what was asked for could not be done. */
export const EXIT_FAILURE = 2;
/** No agent answers at the given place. */
export const EXIT_NO_AGENT = 3;

/** Where a command writes and what it ends with; the process outside of tests. */
export interface CliIo {
  out(text: string | Buffer): void;
  error(text: string): void;
  setExitCode(code: number): void;
}

export const processIo: CliIo = {
  out: (text) => void process.stdout.write(text),
  error: (text) => void process.stderr.write(text),
  setExitCode: (code) => {
    process.exitCode = code;
  },
};

export type Cell = string | number | boolean | null;

/** Columns two blanks apart under a headline; numbers stand right. No rows give one line that says so. */
export function table(headline: readonly string[], rows: readonly (readonly Cell[])[], none: string): string {
  if (rows.length === 0) return `  ${none}\n`;
  const texts = rows.map((row) => row.map(cellText));
  const widths = headline.map((name, column) =>
    texts.reduce((widest, row) => Math.max(widest, row[column]!.length), name.length),
  );
  const isRight = headline.map((_name, column) => rows.every((row) => typeof row[column] === 'number'));
  const line = (cells: readonly string[]): string => {
    const padded = cells.map((text, column) =>
      isRight[column] ? text.padStart(widths[column]!) : text.padEnd(widths[column]!),
    );
    return `  ${padded.join('  ').trimEnd()}\n`;
  };
  return line(headline) + texts.map(line).join('');
}

function cellText(cell: Cell): string {
  if (cell === null) return '-';
  if (typeof cell === 'boolean') return cell ? 'yes' : 'no';
  return typeof cell === 'number' ? String(cell) : printable(cell);
}

/** Text from elsewhere on one line of a terminal: control characters, which could move the cursor, as \xNN. */
export function printable(text: string): string {
  return text.replace(
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g,
    (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
}

/** `450 ms`, `12 s`, `5 min`, `3 h`, `4 days`. */
export function durationText(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 120_000) return `${Math.floor(ms / 1_000)} s`;
  if (ms < 7_200_000) return `${Math.floor(ms / 60_000)} min`;
  if (ms < 172_800_000) return `${Math.floor(ms / 3_600_000)} h`;
  return `${Math.floor(ms / 86_400_000)} days`;
}

/** How long ago a Unix time in ms was; `never` for null. */
export function ageText(sinceMs: number | null, nowMs: number): string {
  return sinceMs === null ? 'never' : `${durationText(nowMs - sinceMs)} ago`;
}

/** Milliseconds as measured: three digits where they mean something. */
export function measuredMs(ms: number): string {
  return `${ms < 10 ? ms.toFixed(2) : ms < 100 ? ms.toFixed(1) : ms.toFixed(0)} ms`;
}

/** Milliseconds for programs: microseconds are the finest that means something. */
export function roundedMs(ms: number): number {
  return Math.round(ms * 1_000) / 1_000;
}

/** `1 connection`, `2 connections`. */
export function countText(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
