/**
 * Checks the layering of src/: who may import whom, packages, what touches the process. Prints the reason beside each
 * breach and exits with 1; sizes and timers it only reports.
 *
 *   node scripts/tidy.mjs [--root FOLDER]
 *
 * FOLDERS is the one table of folders, PACKAGES the one of packages. `inspect` is pure: path -> text in, findings out.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import ts from 'typescript';

const BASIC = ['base', 'core'];
const PATH_PARTS = ['data/transport', 'data/route', 'data/filter', 'data/cluster', 'data/export'];
const DATA_ENDS = ['data/endpoint', 'data/provider', 'data/server'];
const DATA = [...PATH_PARTS, 'data/http-client', ...DATA_ENDS];
const CONTROL = [
  'bridge',
  'config',
  'registry',
  'registration',
  'discovery',
  'state',
  'command',
  'management',
].map((name) => `control/${name}`);

/** Folder of src/ to the folders that it may import. A file belongs to the longest folder that holds it. */
export const FOLDERS = {
  base: [],
  core: ['base'],
  wire: BASIC,
  telemetry: BASIC,
  ...each(CONTROL, BASIC),
  ...each(PATH_PARTS, BASIC),
  'data/http-client': [...BASIC, 'wire', 'data/transport'],
  ...each(DATA_ENDS, [...BASIC, 'wire', 'data/transport', 'data/http-client']),
  // The files directly in data/ put its parts together to the DataPlane of core.
  data: [...BASIC, 'wire', ...DATA],
  agent: [...BASIC, 'wire', 'telemetry', ...CONTROL, 'data', ...DATA],
  cli: [...BASIC, 'wire', 'control/config', 'agent'],
};

/** Folders whose subfolders know each other and each have an index.ts. */
const WITH_SUBFOLDERS = ['wire'];

/** Package to the folders that import it; none of its types leave them. */
export const PACKAGES = {
  commander: ['cli'],
  consul: ['control/registry'],
  fastify: ['control/management'],
  ioredis: ['control/registry'],
  pino: ['telemetry'],
  'prom-client': ['telemetry', 'control/management'],
  re2js: ['control/config', 'data/route'],
  // `/getConfig` prints the configuration as YAML.
  yaml: ['control/config', 'control/management'],
};

/** What deals with bytes and decisions only: it can be tested, and moved to another thread or process, without any IO. */
const PURE = ['base', 'core', 'wire', 'data/route', 'data/filter', 'data/cluster', 'data/export'];
const IO_MODULES = new Set(
  (
    'child_process cluster dgram diagnostics_channel dns dns/promises fs fs/promises http http2 https inspector net os ' +
    'process readline readline/promises repl tls tty worker_threads'
  ).split(' '),
);
const READS_ENVIRONMENT = ['cli', 'control/config'];
const ENDS_PROCESS = ['agent'];
/** The clock, timers and randomness come from the composition root; elsewhere they are worth a look. */
const MAKES_TIME = ['agent', 'cli'];

const LINES_MAX = 400;
const FUNCTION_LINES_MAX = 60;
const FILES_PER_FOLDER_MAX = 20;

/**
 * @param {Map<string, string>} sources path below src/ (with `/`) to text
 * @returns {{breaches: string[], notes: string[], sizes: {lines: number[], functions: number[]}}}
 */
export function inspect(sources) {
  const found = { breaches: [], notes: [], sizes: { lines: [], functions: [] } };
  const graph = new Map();
  for (const [path, text] of sources) {
    const file = {
      path,
      folder: folderOf(path),
      tree: ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true),
    };
    checkName(file, found);
    graph.set(path, []);
    for (const { specifier, line, names } of importsOf(file.tree)) {
      const at = `${path}:${line}`;
      if (specifier.startsWith('.')) {
        const target = toSource(path, specifier);
        graph.get(path).push(target);
        checkFolderImport(file, target, at, sources, found);
      } else if (specifier.startsWith('node:')) {
        checkModuleImport(file, specifier.slice(5), names, at, found);
      } else {
        checkPackageImport(file, specifier, at, found);
      }
    }
    checkProcessUse(file, found);
    measure(file, text, found);
  }
  for (const cycle of cyclesOf(graph)) {
    found.breaches.push(
      `${cycle[0]}: cycle ${[...cycle, cycle[0]].join(' -> ')}: no cycles, type-only ones included`,
    );
  }
  checkFolderSizes(sources, found);
  return found;
}

function checkName({ path, folder }, found) {
  if (folder === null) {
    found.breaches.push(
      `${path}: its folder is not in FOLDERS of scripts/tidy.mjs: say first what it may import`,
    );
  }
  if (!/^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.d)?\.ts$/.test(posix.basename(path))) {
    found.breaches.push(`${path}: file names are kebab-case`);
  }
}

function checkFolderImport({ path, folder }, target, at, sources, found) {
  if (target.startsWith('..')) {
    found.breaches.push(`${at}: imports ${target}: nothing in src/ imports from outside it`);
    return;
  }
  if (!sources.has(target)) {
    found.breaches.push(
      `${at}: imports ${target}, which does not exist: relative imports end in .js and name a file`,
    );
    return;
  }
  const targetFolder = folderOf(target);
  if (folder === null || targetFolder === null) return;

  if (folder !== targetFolder) {
    const allowed = FOLDERS[folder];
    if (!allowed.includes(targetFolder)) {
      const list = allowed.length === 0 ? 'nothing in src/' : allowed.join(', ');
      found.breaches.push(`${at}: ${folder} imports ${targetFolder}: ${folder} may import ${list}`);
    }
    if (!isIndexOf(target, targetFolder)) {
      found.breaches.push(`${at}: imports ${target}: from outside a folder only its index.ts is imported`);
    }
    return;
  }
  const isShared = WITH_SUBFOLDERS.includes(folder);
  if (isShared && subfolderOf(path) !== subfolderOf(target) && !isIndexOf(target, folder)) {
    found.breaches.push(
      `${at}: imports ${target}: from outside ${subfolderOf(target)} only its index.ts is imported`,
    );
  }
}

/** Whether a file is the door of its folder, or of a subfolder where subfolders are doors of their own. */
function isIndexOf(path, folder) {
  if (posix.basename(path) !== 'index.ts') return false;
  const place = posix.dirname(path);
  return place === folder || (WITH_SUBFOLDERS.includes(folder) && posix.dirname(place) === folder);
}

function checkModuleImport({ folder }, module, names, at, found) {
  if (PURE.includes(folder) && IO_MODULES.has(module)) {
    found.breaches.push(
      `${at}: ${folder} imports node:${module}: no network, file or process modules in ${PURE.join(', ')}`,
    );
  }
  if (module === 'process' && names.length > 0) {
    found.breaches.push(
      `${at}: imports ${names.join(', ')} of node:process: write process.${names[0]}, so that it can be checked`,
    );
  }
}

function checkPackageImport({ folder }, specifier, at, found) {
  const name = specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
  const folders = PACKAGES[name];
  if (folders === undefined) {
    found.breaches.push(
      `${at}: imports ${name}, which is not in PACKAGES of scripts/tidy.mjs (modules of Node begin with node:)`,
    );
  } else if (!folders.includes(folder)) {
    found.breaches.push(
      `${at}: ${folder} imports ${name}: only ${folders.join(', ')} may, so that it can be replaced`,
    );
  }
}

function checkProcessUse({ path, folder, tree }, found) {
  visit(tree, (node) => {
    const at = `${path}:${lineOf(tree, node)}`;
    const name = ts.isPropertyAccessExpression(node) ? node.getText(tree) : '';
    if (/^(?:globalThis\.)?process\.(?:env|argv)$/.test(name) && !READS_ENVIRONMENT.includes(folder)) {
      found.breaches.push(
        `${at}: ${name}: the environment is read only in bin, ${READS_ENVIRONMENT.join(', ')}, and handed down`,
      );
    }
    const isEnd = /^(?:globalThis\.)?process\.(?:exit|abort|kill)$/.test(name) && !isProbe(node.parent, tree);
    if (isEnd && !ENDS_PROCESS.includes(folder)) {
      found.breaches.push(`${at}: ${name}: only bin and ${ENDS_PROCESS.join(', ')} end the process`);
    }
    if (ts.isCallExpression(node) && !ENDS_PROCESS.includes(folder) && isSignalHandler(node, tree)) {
      found.breaches.push(`${at}: signals are handled only in bin and ${ENDS_PROCESS.join(', ')}`);
    }
    if (ts.isCallExpression(node) && !MAKES_TIME.includes(folder)) {
      const called = node.expression.getText(tree);
      if (/^(?:setTimeout|setInterval|Date\.now|performance\.now|Math\.random)$/.test(called)) {
        found.notes.push(
          `${at}: ${called}: a Clock, TimerWheel or Random handed down can be moved by a test`,
        );
      }
    }
  });
}

/** `process.kill(pid, 0)` sends nothing: it asks whether a process lives. */
function isProbe(call, tree) {
  return ts.isCallExpression(call) && call.arguments[1]?.getText(tree) === '0';
}

function isSignalHandler(call, tree) {
  const [first] = call.arguments;
  const isOn = /^(?:globalThis\.)?process\.(?:on|once|addListener|prependListener)$/.test(
    call.expression.getText(tree),
  );
  return isOn && first !== undefined && ts.isStringLiteralLike(first) && first.text.startsWith('SIG');
}

function measure({ path, tree }, text, found) {
  const lines = text.split('\n').length - 1;
  found.sizes.lines.push(lines);
  if (lines > LINES_MAX) found.notes.push(`${path}: ${lines} lines, over ${LINES_MAX}: look again`);
  visit(tree, (node) => {
    if (!ts.isFunctionLike(node) || node.body === undefined) return;
    const size = lineOf(tree, node, node.end) - lineOf(tree, node) + 1;
    found.sizes.functions.push(size);
    if (size > FUNCTION_LINES_MAX) {
      const name = node.name?.getText(tree) ?? 'a function';
      found.notes.push(
        `${path}:${lineOf(tree, node)}: ${name} has ${size} lines, over ${FUNCTION_LINES_MAX}: look again`,
      );
    }
  });
}

function checkFolderSizes(sources, found) {
  const counts = new Map();
  for (const path of sources.keys())
    counts.set(posix.dirname(path), (counts.get(posix.dirname(path)) ?? 0) + 1);
  for (const [folder, count] of counts) {
    if (count > FILES_PER_FOLDER_MAX)
      found.notes.push(`${folder}: ${count} files, over ${FILES_PER_FOLDER_MAX}: look again`);
  }
}

/** Every import and re-export, static or not, type-only or not. */
function importsOf(tree) {
  const imports = [];
  visit(tree, (node) => {
    const line = lineOf(tree, node);
    if (
      (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) &&
      node.moduleSpecifier !== undefined
    ) {
      const bindings = ts.isImportDeclaration(node) ? node.importClause?.namedBindings : undefined;
      const names =
        bindings !== undefined && ts.isNamedImports(bindings)
          ? bindings.elements.map((each) => each.name.text)
          : [];
      imports.push({ specifier: node.moduleSpecifier.text, line, names });
    } else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
      imports.push({ specifier: node.argument.literal.text, line, names: [] });
    } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      const [first] = node.arguments;
      if (first !== undefined && ts.isStringLiteralLike(first))
        imports.push({ specifier: first.text, line, names: [] });
    }
  });
  return imports;
}

/** Groups of files that reach each other (Tarjan), each as one list; a file that imports itself is one, too. */
function cyclesOf(graph) {
  const order = new Map();
  const low = new Map();
  const stack = [];
  const cycles = [];
  const walk = (path) => {
    order.set(path, order.size);
    low.set(path, order.get(path));
    stack.push(path);
    for (const next of graph.get(path) ?? []) {
      if (!graph.has(next)) continue;
      if (!order.has(next)) walk(next);
      if (stack.includes(next)) low.set(path, Math.min(low.get(path), low.get(next)));
    }
    if (low.get(path) !== order.get(path)) return;
    const group = stack.splice(stack.indexOf(path));
    if (group.length > 1 || graph.get(path).includes(path))
      cycles.push(shortestCycle(graph, new Set(group), path));
  };
  for (const path of graph.keys()) if (!order.has(path)) walk(path);
  return cycles;
}

/** The shortest way from `start` back to it inside its group: what has to be cut. */
function shortestCycle(graph, group, start) {
  const cameFrom = new Map();
  const queue = [start];
  for (const path of queue) {
    for (const next of graph.get(path)) {
      if (next === start) return wayTo(path, cameFrom);
      if (!group.has(next) || cameFrom.has(next)) continue;
      cameFrom.set(next, path);
      queue.push(next);
    }
  }
  return [start];
}

function wayTo(path, cameFrom) {
  const way = [];
  for (let at = path; at !== undefined; at = cameFrom.get(at)) way.unshift(at);
  return way;
}

function folderOf(path) {
  const fits = Object.keys(FOLDERS).filter((folder) => path.startsWith(`${folder}/`));
  const longest = fits.sort((a, b) => b.length - a.length)[0];
  // What is below data/ but in none of its listed folders is a folder that nobody has placed yet.
  if (longest === 'data' && posix.dirname(path) !== 'data') return null;
  return longest ?? null;
}

function subfolderOf(path) {
  return path.split('/').slice(0, 2).join('/');
}

function toSource(from, specifier) {
  return posix.normalize(posix.join(posix.dirname(from), specifier)).replace(/\.js$/, '.ts');
}

function visit(node, seen) {
  seen(node);
  ts.forEachChild(node, (child) => visit(child, seen));
}

function lineOf(tree, node, position = node.getStart(tree)) {
  return tree.getLineAndCharacterOfPosition(position).line + 1;
}

function each(folders, allowed) {
  return Object.fromEntries(folders.map((folder) => [folder, allowed]));
}

function readSources(folder) {
  const names = readdirSync(folder, { recursive: true }).filter((name) => name.endsWith('.ts'));
  return new Map(
    names.sort().map((name) => [name.replaceAll('\\', '/'), readFileSync(join(folder, name), 'utf8')]),
  );
}

/** The value that `share` of the sorted numbers do not exceed. */
function quantile(numbers, share) {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

function main() {
  const { values } = parseArgs({ options: { root: { type: 'string' } } });
  const folder = values.root ?? fileURLToPath(new URL('../src', import.meta.url));
  const { breaches, notes, sizes } = inspect(readSources(folder));

  for (const note of notes) console.log(`note  ${note}`);
  for (const breach of breaches) console.log(`BREACH  ${breach}`);
  const shape = (numbers) =>
    `median ${quantile(numbers, 0.5)}, nine in ten up to ${quantile(numbers, 0.9)}, longest ${quantile(numbers, 1)}`;
  console.log(`files: ${sizes.lines.length}; lines: ${shape(sizes.lines)}`);
  console.log(`functions: ${sizes.functions.length}; lines: ${shape(sizes.functions)}`);
  console.log(
    breaches.length === 0 ? 'tidy: the layering holds' : `tidy: ${breaches.length} breaches of the layering`,
  );
  process.exitCode = breaches.length === 0 ? 0 : 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
