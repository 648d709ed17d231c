/** Copies what one registry lists into another one, for the time of a migration. */
export { Bridge, type BridgeOptions, type BridgeStatus, type LaneStatus } from './bridge.js';
export type { BridgeEvent, BridgeEventKind } from './bridge-event.js';
