export { BufferPool } from './buffer-pool.js';
export { copyBytes, equalBytes } from './bytes.js';
export {
  DECIMAL_BYTES_MAX,
  parsed64,
  parseSigned64,
  signed64Text,
  writeInteger,
  writeSigned64,
} from './decimal.js';
export {
  endsInNumber,
  type IpAddress,
  type IpBlock,
  ipText,
  isBlockWithin,
  isInBlock,
  parseIp,
  parseIpBlock,
  parseLooseIpv4,
} from './ip-address.js';
export { TICK_MS, TimerWheel, type WheelTimer } from './timer-wheel.js';
