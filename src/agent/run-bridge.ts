/** A bridge as a process: two registries of a configuration, signals, exit codes. */
import { Bridge, type BridgeEvent, type BridgeStatus } from '../control/bridge/index.js';
import { type AgentFlags, type EnvironmentVariables, loadConfig } from '../control/config/index.js';
import { createRegistries } from '../control/registry/index.js';
import { AgentError, type Logger, type Registry, type RegistryConfig } from '../core/index.js';
import { systemClock } from './run-agent.js';

export interface RunBridgeOptions {
  readonly flags: AgentFlags;
  readonly env: EnvironmentVariables;
  readonly cwd: string;
  /** Ids of `motan-registry`. */
  readonly from: string;
  readonly to: string;
  readonly isBothWays: boolean;
  readonly groups: readonly string[];
  readonly services: readonly string[];
  readonly holdMs: number;
  /** Says once what would be copied, and ends. */
  readonly isDry: boolean;
  onEvent(event: BridgeEvent): void;
  onStatus(status: BridgeStatus): void;
  /** A registry has something to say to an operator. */
  onWarning(message: string): void;
}

export type { BridgeEvent, BridgeStatus } from '../control/bridge/index.js';

export const EXIT_BRIDGE_OK = 0;
/** The copies could not be withdrawn, or a dry run got no answers. */
export const EXIT_BRIDGE_UNDONE = 1;

/** New services are seen within this; their nodes at once. */
const REFRESH_MS = 5_000;
const STATUS_EVERY_MS = 10_000;
const DRY_MS_MAX = 30_000;
const WITHDRAW_MS_MAX = 10_000;
/** What is still open after the end may hold up the process this long. */
const LEAVE_MS = 200;

/**
 * Runs until SIGTERM or SIGINT, then withdraws the copies; resolves with the exit code. Throws AgentError for a configuration or
 * registries that cannot be used.
 */
export async function runBridge(options: RunBridgeOptions): Promise<number> {
  const { isDry, onStatus } = options;
  const [from, to] = openRegistries(options);
  const deps = { clock: systemClock, random: Math.random, logger: loggerOf(options) };
  let bridge: Bridge;
  try {
    bridge = new Bridge({ ...options, ...deps, from, to, refreshMs: REFRESH_MS });
  } catch (error) {
    await Promise.all([from.close(), to.close()]);
    throw error;
  }
  const signalled = nextSignal();
  bridge.start();
  let isDone: boolean;
  if (isDry) {
    isDone = await bridge.settled(DRY_MS_MAX);
    onStatus(bridge.status);
  } else {
    const end = tellStatus(bridge, onStatus);
    await signalled;
    end();
    bridge.close();
    isDone = (await Promise.all([from, to].map((registry) => registry.settled(WITHDRAW_MS_MAX)))).every(
      Boolean,
    );
  }
  bridge.close();
  await Promise.all([from.close(), to.close()]);
  const code = isDone ? EXIT_BRIDGE_OK : EXIT_BRIDGE_UNDONE;
  setTimeout(() => process.exit(code), LEAVE_MS).unref();
  return code;
}

function openRegistries(options: RunBridgeOptions): [from: Registry, to: Registry] {
  const { config } = loadConfig(options);
  const chosen = new Map<string, RegistryConfig>();
  for (const id of [options.from, options.to]) {
    const entry = config.registries.get(id);
    if (entry === undefined) {
      const ids = [...config.registries.keys()].join(', ') || 'none';
      throw new AgentError('E_CONFIG', `motan-registry has no usable entry "${id}"; it has: ${ids}`);
    }
    chosen.set(id, entry);
  }
  // Without a local address: a bridge is no client of the services.
  const registries = createRegistries(
    { registries: chosen },
    { clock: systemClock, random: Math.random, logger: loggerOf(options), defaultDirectory: '' },
  );
  return [registries.get(options.from)!, registries.get(options.to)!];
}

/** What a registry does is told by events of the bridge; what it warns of is not. */
function loggerOf({ onWarning }: RunBridgeOptions): Logger {
  const say = (fields: object, message: string): void => {
    const parts = Object.entries(fields).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
    onWarning([message, ...parts].join(' '));
  };
  const logger = (inherited: object): Logger => ({
    debug() {},
    info() {},
    warn: (fields, message) => say({ ...inherited, ...fields }, message),
    error: (fields, message) => say({ ...inherited, ...fields }, message),
    child: (fields) => logger({ ...inherited, ...fields }),
  });
  return logger({});
}

/** As soon as all is known, and then when it is another one; the answer ends it. */
function tellStatus(bridge: Bridge, onStatus: (status: BridgeStatus) => void): () => void {
  let told = '';
  const tell = (): void => {
    const { status } = bridge;
    const text = JSON.stringify(status);
    if (text === told || !(status.isSettled || told !== '')) return;
    told = text;
    onStatus(status);
  };
  const first = setInterval(() => {
    if (!bridge.status.isSettled) return;
    clearInterval(first);
    tell();
  }, 100);
  const timer = setInterval(tell, STATUS_EVERY_MS);
  return () => {
    clearInterval(first);
    clearInterval(timer);
  };
}

/** A second signal does not wait. */
function nextSignal(): Promise<void> {
  return new Promise((resolve) => {
    let signals = 0;
    const onSignal = (): void => {
      signals += 1;
      if (signals > 1) process.exit(EXIT_BRIDGE_UNDONE);
      resolve();
    };
    process.on('SIGTERM', onSignal);
    process.on('SIGINT', onSignal);
  });
}
