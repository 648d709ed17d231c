export {
  BREEZE,
  decodeBreezeArguments,
  decodeBreezeStringMap,
  encodeBreezeStringMap,
} from './breeze.js';
export {
  breezeToJson,
  type FromJsonOptions,
  jsonTextToSimple,
  jsonToSimple,
  type SimpleType,
  simpleToJson,
  type ToJsonOptions,
} from './json.js';
export { serializationName } from './names.js';
export {
  decodeSimpleArguments,
  decodeSimpleValue,
  encodeSimple,
  encodeSimpleArguments,
  SIMPLE,
} from './simple.js';
export {
  type BreezeValue,
  type ScalarValue,
  type SimpleValue,
  VALUE_LIMITS,
  type ValueLimits,
  type WireText,
} from './value.js';
