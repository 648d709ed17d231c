/** Numbers of the serialization byte and the names that configurations use for them (spec wire 8.1). */
const NAMES = [
  'hessian2',
  'grpc-pb',
  'json',
  'msgpack',
  'hprose',
  'protobuf',
  'simple',
  'grpc-pb-json',
  'breeze',
] as const;

/** The name of serialization `number`; `unknown` beyond the table. */
export function serializationName(number: number): string {
  return NAMES[number] ?? 'unknown';
}
