export { ByteStream, type StreamOwner, WRITE_STALL_MS } from './byte-stream.js';
export { type DialTarget, dial } from './dial.js';
export { CHUNK_BYTES, type Chunk, type Flushable, IoLoop } from './io-loop.js';
export { type ListenAddress, Listener, type ListenerEvents } from './listener.js';
export { rawStreamsWork } from './raw-self-test.js';
export { SocketStream } from './socket-stream.js';
