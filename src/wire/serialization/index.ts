export {
  BREEZE,
  decodeBreezeArguments,
  decodeBreezeStringMap,
  encodeBreezeStringMap,
} from './breeze.js';
export {
  type ArgumentOptions,
  type FromJsonOptions,
  jsonTextToArguments,
  jsonTextToSimple,
  jsonToSimple,
  type SimpleType,
} from './from-json.js';
export { serializationName } from './names.js';
export {
  decodeSimpleArguments,
  decodeSimpleValue,
  encodeSimple,
  encodeSimpleArguments,
  SIMPLE,
} from './simple.js';
export { breezeToJson, simpleToJson, type ToJsonOptions } from './to-json.js';
export {
  type BreezeValue,
  type ScalarValue,
  type SimpleValue,
  VALUE_LIMITS,
  type ValueLimits,
  type WireText,
} from './value.js';
