/** Collects what is wrong, so that everything is reported together and not one thing per attempt. */

import type { Place, Problem } from '../../core/index.js';
import { AgentError, isSecretName, placeText, redactText } from '../../core/index.js';
import { type ConfigNode, placeOf, type Spot, shownText } from './node.js';

/** A configuration that cannot be used at all; `problems` holds everything that was found, fatal or not. */
export class ConfigError extends AgentError {
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[], options?: { cause?: unknown }) {
    const fatal = problems.filter((problem) => problem.severity === 'fatal');
    super('E_CONFIG', fatal.map(problemText).join('\n') || 'the configuration cannot be used', options);
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

export interface Finding {
  readonly code: string;
  readonly key: string;
  readonly message: string;
  /** The value it is about: gives `value` and, unless `at` is set, the place. */
  readonly node?: ConfigNode | null;
  readonly value?: string | null;
  readonly at?: Spot | Place | null;
  readonly expected?: string | null;
  readonly didYouMean?: string | null;
  readonly entry?: string | null;
}

export class Problems {
  readonly #list: Problem[] = [];
  readonly #warned = new Set<string>();

  get list(): readonly Problem[] {
    return this.#list;
  }

  /** File by file in the order in which files were first named, then by line; what has no place comes first. */
  sorted(): readonly Problem[] {
    const files = [...new Set(this.#list.map((problem) => problem.place?.file ?? ''))];
    const rank = new Map(files.map((file, index) => [file, file === '' ? -1 : index]));
    return this.#list.toSorted((one, other) => {
      const byFile = rank.get(one.place?.file ?? '')! - rank.get(other.place?.file ?? '')!;
      const byLine = (one.place?.line ?? 0) - (other.place?.line ?? 0);
      return byFile || byLine || (one.place?.column ?? 0) - (other.place?.column ?? 0);
    });
  }

  get hasFatal(): boolean {
    return this.#list.some((problem) => problem.severity === 'fatal');
  }

  fatal(finding: Finding): void {
    this.#add('fatal', finding);
  }

  error(finding: Finding): void {
    this.#add('error', finding);
  }

  /** The same finding at the same place is reported once: thousands of entries may inherit one value. */
  warning(finding: Finding): void {
    const at = finding.at ?? finding.node ?? null;
    const spot = at === null ? finding.key : 'offset' in at ? `${at.file.name}:${at.offset}` : placeText(at);
    const identity = JSON.stringify([finding.code, spot, finding.value ?? null]);
    if (this.#warned.has(identity)) return;
    this.#warned.add(identity);
    this.#add('warning', finding);
  }

  #add(severity: Problem['severity'], finding: Finding): void {
    const node = finding.node ?? null;
    const at = finding.at ?? node;
    const through = node?.kind === 'scalar' ? node.through : null;
    const via =
      through === null ? '' : ` (\${${through.name}} used at ${placeText(placeOf(through.usedAt))})`;
    this.#list.push({
      severity,
      code: finding.code,
      key: finding.key,
      value: shownValue(finding.key, finding.value ?? (node === null ? null : shownText(node))),
      message: finding.message + via,
      expected: finding.expected ?? null,
      didYouMean: finding.didYouMean ?? null,
      place: at === null ? null : 'offset' in at ? placeOf(at) : at,
      entry: finding.entry ?? null,
    });
  }
}

/** Problems reach logs and the management API, so values of secret keys do not. */
export function shownValue<T extends string | null>(key: string, value: T): T | string {
  if (value === null || value === '') return value;
  return isSecretName(key.slice(key.lastIndexOf('.') + 1)) ? '[redacted]' : redactText(value);
}

/** One line: `file:line:col: severity: key: message (value ...; expected ...; did you mean ...?)`. Values are quoted, names are not. */
export function problemText(problem: Problem): string {
  const remarks: string[] = [];
  if (problem.value !== null) remarks.push(`value ${JSON.stringify(problem.value)}`);
  if (problem.expected !== null) remarks.push(`expected ${problem.expected}`);
  if (problem.didYouMean !== null) remarks.push(`did you mean ${printable(problem.didYouMean)}?`);
  const key = problem.key === '' ? '' : `${printable(problem.key)}: `;
  const more = remarks.length === 0 ? '' : ` (${remarks.join('; ')})`;
  return `${placeText(problem.place)}: ${problem.severity}: ${key}${printable(problem.message)}${more}`;
}

/** Text of a file as it may be shown on a terminal: control characters could rewrite the screen. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is being removed
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, (character) => JSON.stringify(character).slice(1, -1));
}
