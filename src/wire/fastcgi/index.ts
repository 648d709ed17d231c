export { CGI_HEAD_LIMITS, type CgiHead, type CgiHeadLimits, CgiHeadReader } from './cgi-head.js';
export { CONTENT_BYTES_MAX, PROTOCOL_STATUS } from './record.js';
export { END_REQUEST, type Found, NEED_MORE, RecordReader, STDERR, STDOUT } from './record-reader.js';
export { RequestEncoder } from './request-encoder.js';
