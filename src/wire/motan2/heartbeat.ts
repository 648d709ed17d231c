/** Heartbeat frames: no metadata, no body; Go sets the proxy bit and the number of `simple` (spec wire 5). */
const FRAME_BYTES = 21;

export function encodeHeartbeat(idHigh: number, idLow: number, isAnswer: boolean): Buffer {
  const frame = Buffer.alloc(FRAME_BYTES);
  frame.writeUInt32BE(isAnswer ? 0xf1f11308 : 0xf1f11208, 0);
  frame[4] = 0x30;
  frame.writeUInt32BE(idHigh, 5);
  frame.writeUInt32BE(idLow, 9);
  return frame;
}
