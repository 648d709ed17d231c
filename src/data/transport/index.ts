export { ByteStream, type StreamOwner, WRITE_STALL_MS } from './byte-stream.js';
export { CHUNK_BYTES, type Chunk, type Flushable, IoLoop } from './io-loop.js';
export { dial, type ListenAddress, Listener, type ListenerEvents } from './listener.js';
export { rawStreamsWork } from './raw-stream.js';
export { SocketStream } from './socket-stream.js';
