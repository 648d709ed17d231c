/** The pages that users read, and what stands in them: links, anchors, code, commands, tables. */
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const REPOSITORY = fileURLToPath(new URL('../../../', import.meta.url));

export interface Page {
  /** Relative to the repository. */
  readonly name: string;
  readonly text: string;
}

export interface CodeBlock {
  readonly language: string;
  readonly lines: readonly string[];
}

const FENCE = /^ *```(\S*)\n([\s\S]*?)^ *```$/gm;

export function allPages(): Page[] {
  const docs = fs
    .readdirSync(path.join(REPOSITORY, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.md'))
    .map((file) => path.join('docs', file));
  const top = fs.readdirSync(REPOSITORY).filter((file) => file.endsWith('.md'));
  return [...top, ...docs, 'examples/README.md'].sort().map(readPage);
}

export function readPage(name: string): Page {
  return { name, text: fs.readFileSync(path.join(REPOSITORY, name), 'utf8') };
}

/** Targets of links that lead into the repository. */
export function localLinks({ text }: Page): string[] {
  const targets = [...prose(text).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target!);
  return targets.filter((target) => !/^[a-z]+:/.test(target));
}

/** The anchors of the headings, as the usual renderers make them. */
export function anchors({ text }: Page): Set<string> {
  const headings = [...prose(text).matchAll(/^#+ +(.+)$/gm)].map(([, heading]) => heading!);
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

export function codeBlocks({ text }: Page): CodeBlock[] {
  return [...text.matchAll(FENCE)].map(([, language, code]) => ({
    language: language!,
    lines: code!.split('\n'),
  }));
}

/** The words behind `peony` of every command line in code blocks and in inline code. */
export function peonyCommands(page: Page): string[][] {
  const lines = codeBlocks(page)
    .filter(({ language }) => language === '' || language === 'sh')
    .flatMap((block) => block.lines);
  const inline = [...prose(page.text).matchAll(/`([^`\n]+)`/g)].map(([, code]) => code!);
  return [...lines, ...inline].flatMap((line) => {
    const found = /^(?:\s*\$ )?\s*(?:(?:\/opt\/peony\/)?bin\/)?peony (.+)$/.exec(line);
    return found === null ? [] : [shellWords(found[1]!)];
  });
}

/** The cells of every table row that is no heading and no rule. */
export function tableRows({ text }: Page): string[][] {
  const lines = prose(text).split('\n');
  const isRule = (line: string | undefined): boolean => line?.startsWith('| --') ?? false;
  return lines
    .filter((line, index) => line.startsWith('|') && !isRule(line) && !isRule(lines[index + 1]))
    .map((line) => line.split('|').slice(1, -1))
    .map((cells) => cells.map((cell) => cell.trim()));
}

function prose(text: string): string {
  return text.replaceAll(FENCE, '');
}

/** Words of a shell up to the end of the command; quotes are taken away. */
function shellWords(line: string): string[] {
  const words: string[] = [];
  for (const [word] of line.matchAll(/"(?:[^"\\]|\\.)*"|'[^']*'|[^\s"']+/g)) {
    if (/^[|&;>#]/.test(word)) break;
    words.push(/^["']/.test(word) ? word.slice(1, -1) : word);
  }
  return words;
}
