export { Agent, type AgentOptions } from './agent.js';
export {
  EXIT_CANNOT_START,
  EXIT_CONFIG,
  EXIT_OK,
  type RunOptions,
  runAgent,
  systemClock,
} from './run-agent.js';
export {
  type BridgeEvent,
  type BridgeStatus,
  type RunBridgeOptions,
  runBridge,
} from './run-bridge.js';
export { version } from './version.js';
