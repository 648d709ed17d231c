/** Reading the metadata of a request and writing it towards a node: once per new head of a caller, not once per call. */
import { encodeMetadata, parseMetadata } from '../../src/wire/motan2/index.js';
import { timeOperation } from './support.js';

const SMALL = metadataBytes(7);
const LARGE = metadataBytes(60);

timeOperation(`parse ${SMALL.length} bytes`, () => parseMetadata(SMALL, 0, SMALL.length));
timeOperation(`parse ${LARGE.length} bytes`, () => parseMetadata(LARGE, 0, LARGE.length));
const metadata = parseMetadata(SMALL, 0, SMALL.length);
timeOperation(`copy, add two and encode ${SMALL.length} bytes`, () => {
  const changed = metadata.copy();
  changed.set('host', '127.0.0.1');
  changed.set('M_g', 'bench-group');
  return encodeMetadata(changed);
});

function metadataBytes(pairs: number): Buffer {
  const known = [
    'M_p\ncom.example.EchoService',
    'M_m\necho',
    'M_g\nbench-group',
    'M_pp\nmotan2',
    'M_v\n1.0',
    'M_s\nbench',
  ];
  const own = Array.from(
    { length: pairs - known.length },
    (_, index) => `x-header-${index}\nvalue ${index} of the caller`,
  );
  return Buffer.from([...known, ...own].join('\n'));
}
