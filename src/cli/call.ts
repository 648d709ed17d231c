/**
 * `peony call`: one call by hand, through the agent or straight to a node.
 *
 * Arguments are JSON values with the types of `simple` (wire/serialization/from-json.ts). The answer goes to stdout,
 * everything else to stderr, so that the answer can be piped.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { type Command, InvalidArgumentError } from 'commander';
import { AgentError, latin1Text, Metadata, parseNodeAddress } from '../core/index.js';
import {
  encodeSimpleArguments,
  jsonTextToSimple,
  SIMPLE,
  type SimpleValue,
} from '../wire/serialization/index.js';
import { type CallOutcome, CallSummary, describe, exitCodeOf, outcomeOf } from './call-outcome.js';
import { parsePort } from './management-client.js';
import { type CallRequest, type CallTarget, MotanClient, targetText } from './motan-client.js';
import { type CliIo, EXIT_FAILURE, printable, processIo, roundedMs } from './output.js';

const FORWARD_PORT_DEFAULT = 9981;
/** Longer than the timeouts of real services, short enough for somebody who waits. */
const WAIT_MS_DEFAULT = 5_000;
/** With a timeout asked for, the agent's own answer to it shall still arrive. */
const GRACE_MS = 500;
const CONNECT_MS_MAX = 3_000;
/** What an agent lets through by default is 10 MiB. */
const ANSWER_BYTES_MAX = 64 * 1024 * 1024;

export interface CallOptions {
  readonly port: number;
  readonly unix?: string;
  readonly direct?: CallTarget;
  readonly argsJson?: string;
  readonly group?: string;
  /** Service version. */
  readonly version?: string;
  readonly protocol?: string;
  readonly meta?: readonly (readonly [string, string])[];
  /** ms */
  readonly timeout?: number;
  readonly repeat: number;
  /** ms between the answer to one call and the next call. */
  readonly interval: number;
  readonly typed?: boolean;
  readonly raw?: boolean;
  readonly verbose?: boolean;
  readonly json?: boolean;
}

/** `io` is replaced in tests. */
export function addCallCommand(program: Command, io: CliIo = processIo): void {
  program
    .command('call')
    .description('call a method of a service through the agent, with arguments in JSON')
    .argument('<service>', 'for example com.weibo.HelloService')
    .argument('<method>', 'for example hello')
    .argument('[args...]', `each one JSON value: '"text"', 5, true, null, '["a"]', '{"$int32": 5}'`)
    .option('--port <port>', 'forward port of the agent on this machine', parsePort, FORWARD_PORT_DEFAULT)
    .option('--unix <path>', 'unix socket of the agent (unixSock)')
    .option('--direct <address>', 'host:port or unix://path of a node: no agent between', parseDirect)
    .option('--args-json <array>', 'all arguments as one JSON array')
    .option('--group <group>', 'group of the service (M_g)')
    .option('--version <version>', 'version of the service (M_v)')
    .option('--protocol <protocol>', 'protocol that the agent shall use (M_pp), for example motan2')
    .option('--meta <key=value>', 'metadata to send; may be given again', collectMeta)
    .option(
      '--timeout <ms>',
      `wanted timeout (M_tmo); without it at most ${WAIT_MS_DEFAULT} ms are waited`,
      parseCount,
    )
    .option('--repeat <times>', 'call so often, one after the other, and print a summary', parseCount, 1)
    .option('--interval <ms>', 'pause between repeated calls', parseMs, 0)
    .option('--typed', 'print the answer with the types of the wire, for example {"$int32": 5}')
    .option('-r, --raw', 'print text and bytes as they are, without JSON around them')
    .option('-v, --verbose', 'show metadata, sizes, serialization, time and node on stderr')
    .option('--json', 'print one JSON object: outcome, value or exception, node, time, sizes, metadata')
    .addHelpText('after', HELP)
    .action(async (service: string, method: string, args: string[], options: CallOptions) => {
      io.setExitCode(await call(service, method, args, options, io));
    });
}

async function call(
  service: string,
  method: string,
  args: readonly string[],
  options: CallOptions,
  io: CliIo,
): Promise<number> {
  let caller: Caller;
  try {
    const request = buildRequest(service, method, parseArguments(args, options.argsJson), options);
    caller = new Caller(targetOf(options), request, options);
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    io.error(`peony call: ${error.message}\n`);
    return EXIT_FAILURE;
  }
  try {
    if (options.repeat > 1) return await callAgain(caller, options, io);
    if (options.verbose) io.error(describe.request(caller.request, targetText(caller.target)));
    const outcome = await caller.call();
    print(outcome, options, io);
    return exitCodeOf(outcome);
  } finally {
    caller.close();
  }
}

async function callAgain(caller: Caller, options: CallOptions, io: CliIo): Promise<number> {
  const summary = new CallSummary();
  for (let count = 0; count < options.repeat; count += 1) {
    if (count > 0 && options.interval > 0) await pause(options.interval);
    const outcome = await caller.call();
    summary.add(outcome);
    if (options.verbose) print(outcome, { ...options, json: false }, io);
  }
  io.out(options.json ? `${JSON.stringify(summary.toJSON())}\n` : summary.toText());
  return summary.exitCode;
}

function print(outcome: CallOutcome, options: CallOptions, io: CliIo): void {
  if (options.json) {
    io.out(`${JSON.stringify(outcome)}\n`);
    return;
  }
  if (options.verbose) io.error(describe.answer(outcome));
  if (outcome.outcome === 'ok') {
    io.out(options.raw ? describe.raw(outcome) : `${describe.value(outcome)}\n`);
    if (outcome.note !== undefined) io.error(`${outcome.note}\n`);
  } else {
    io.error(`${printable(describe.trouble(outcome))}\n`);
  }
}

/** Connects when there is no connection: also again, after one was lost in the middle of repeated calls. */
class Caller {
  readonly target: CallTarget;
  readonly request: CallRequest;
  readonly #waitMs: number;
  readonly #typed: boolean;
  #client: MotanClient | null = null;

  constructor(target: CallTarget, request: CallRequest, options: CallOptions) {
    this.target = target;
    this.request = request;
    this.#waitMs = options.timeout === undefined ? WAIT_MS_DEFAULT : options.timeout + GRACE_MS;
    this.#typed = options.typed === true;
  }

  async call(): Promise<CallOutcome> {
    const startedMs = performance.now();
    try {
      if (this.#client?.isOpen !== true) {
        this.#client = await MotanClient.connect(this.target, CONNECT_MS_MAX, ANSWER_BYTES_MAX);
      }
      return outcomeOf(await this.#client.call(this.request, this.#waitMs), this.#typed);
    } catch (error) {
      if (!(error instanceof AgentError)) throw error;
      const { code, message } = error;
      return {
        outcome: 'failure',
        failure: { code, message },
        timeMs: roundedMs(performance.now() - startedMs),
      };
    }
  }

  close(): void {
    this.#client?.close();
  }
}

/** Throws AgentError `E_ARGUMENT` or `E_VALUE` that says which argument and what would be right. */
export function parseArguments(args: readonly string[], argsJson: string | undefined): SimpleValue[] {
  if (argsJson === undefined) return args.map((text, index) => parseArgument(text, `argument ${index + 1}`));
  if (args.length > 0)
    throw new AgentError('E_ARGUMENT', 'give arguments one by one or as --args-json, not both');
  // As typed, so that numbers keep what only their text says (3.0, integers beyond 2^53).
  const list = parseArgument(`{"$array": ${argsJson}}`, '--args-json');
  return list.type === 'array' ? [...list.elements] : [];
}

function parseArgument(text: string, what: string): SimpleValue {
  try {
    return jsonTextToSimple(text);
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    const hint = /^[\w.@/-]+$/.test(text) ? `; the string ${text} is written '"${text}"'` : '';
    throw new AgentError('E_VALUE', `${what}: ${error.message}${hint}`, { cause: error });
  }
}

/** Throws AgentError `E_ARGUMENT`: metadata that would silently be left out is refused. */
export function buildRequest(
  service: string,
  method: string,
  args: readonly SimpleValue[],
  options: Pick<CallOptions, 'group' | 'version' | 'protocol' | 'timeout' | 'meta'>,
): CallRequest {
  const metadata = new Metadata();
  const set = (key: string, value: string): void => {
    if (key === '' || value === '' || `${key}${value}`.includes('\n')) {
      const text = JSON.stringify(`${key}=${value}`);
      throw new AgentError(
        'E_ARGUMENT',
        `metadata ${text} cannot be sent: no part may be empty or hold a line break`,
      );
    }
    metadata.set(latin1Text(key), latin1Text(value));
  };
  set('M_p', service);
  set('M_m', method);
  if (options.group !== undefined) set('M_g', options.group);
  if (options.version !== undefined) set('M_v', options.version);
  if (options.protocol !== undefined) set('M_pp', options.protocol);
  if (options.timeout !== undefined) set('M_tmo', String(options.timeout));
  for (const [key, value] of options.meta ?? []) set(key, value);
  return { metadata, body: encodeSimpleArguments(args), serialization: SIMPLE };
}

function targetOf(options: Pick<CallOptions, 'port' | 'unix' | 'direct'>): CallTarget {
  if (options.direct !== undefined && options.unix !== undefined) {
    throw new AgentError('E_ARGUMENT', 'give --direct or --unix, not both');
  }
  if (options.direct !== undefined) return options.direct;
  return options.unix === undefined ? { host: '127.0.0.1', port: options.port } : { path: options.unix };
}

function parseDirect(text: string): CallTarget {
  const address = parseNodeAddress(text);
  if (address === null) throw new InvalidArgumentError('Expected host:port or unix://path.');
  if (address.port === 0) return { path: address.host.slice('unix://'.length) };
  return { host: address.host.replace(/^\[(.*)\]$/, '$1'), port: address.port };
}

function collectMeta(
  text: string,
  known: readonly (readonly [string, string])[] = [],
): (readonly [string, string])[] {
  const equalsAt = text.indexOf('=');
  if (equalsAt < 1) throw new InvalidArgumentError('Expected key=value.');
  return [...known, [text.slice(0, equalsAt), text.slice(equalsAt + 1)]];
}

function parseCount(text: string): number {
  const count = parseMs(text);
  if (count === 0) throw new InvalidArgumentError('Expected a whole number from 1 on.');
  return count;
}

function parseMs(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('Expected a whole number.');
  return Number(text);
}

const HELP = `
JSON types: text, true, null, 5 (int64), 1.5 (float64), ["a"], {"a": "b"}. Others are typed forms: {"$int32": 5}, {"$int16": 5},
{"$byte": 5}, {"$float32": 1.5}, {"$bytes": "<base64>"}, {"$map": [[key, value], ...]}, {"$array": [...]}. A Java method that
takes int wants {"$int32": 5}, one that takes long wants 5.

Exit code: 0 for an answer; 1 for an exception of the service; 2 when the service was not reached: no connection, no answer in
time, wrong use, or an exception that an agent made. Such an exception has serialization 0 and no body, and either type 1 and
one of the codes 400, 500, 503, 1001, 1002, 1003 and 1004, or type and code 503. (A Go server says 500 itself when the method
does not exist: that cannot be told apart and counts as 2.)

Examples:
  $ peony call com.weibo.HelloService hello '"world"'
  $ peony call com.weibo.Users find 42 '{"$int32": 10}' '["name", "age"]' --group core -v
  $ peony call com.weibo.Users find --args-json '[42, {"$int32": 10}]' --timeout 200 --json | jq .value
  $ peony call com.weibo.HelloService hello '"world"' --direct 10.0.0.5:8100
  $ peony call com.weibo.HelloService hello '"world"' --repeat 1000
`;
