export { FrameReader } from './frame-reader.js';
