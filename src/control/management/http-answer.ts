/** From an Answer to a reply, and the redirects of paths that are not clean. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Answer } from './path.js';

export function sendAnswer(reply: FastifyReply, answer: Answer): FastifyReply {
  reply.code(answer.status);
  if (answer.headers !== undefined) reply.headers(answer.headers);
  if (answer.contentType === null) return reply.send();
  // As bytes: nothing is added to the type.
  return reply.header('content-type', answer.contentType).send(Buffer.from(answer.body, 'utf8'));
}

export function pathOf(request: FastifyRequest): string {
  const questionAt = request.url.indexOf('?');
  return questionAt < 0 ? request.url : request.url.slice(0, questionAt);
}

/** Without empty, `.` and `..` segments, as Go's router wants a path; a slash at the end stays. */
export function cleanPath(path: string): string {
  if (!path.startsWith('/')) return path;
  const kept: string[] = [];
  const segments = path.split('/');
  for (const segment of segments) {
    if (segment === '..') kept.pop();
    else if (segment !== '' && segment !== '.') kept.push(segment);
  }
  const isOpen = ['', '.', '..'].includes(segments.at(-1)!) && kept.length > 0;
  return `/${kept.join('/')}${isOpen ? '/' : ''}`;
}

export function redirect(request: FastifyRequest, reply: FastifyReply, path: string): FastifyReply {
  const questionAt = request.url.indexOf('?');
  const location = questionAt < 0 ? path : path + request.url.slice(questionAt);
  reply.code(301).header('location', location);
  if (request.method !== 'GET' && request.method !== 'HEAD') return reply.send();
  reply.header('content-type', 'text/html; charset=utf-8');
  return reply.send(`<a href="${escapeHtml(location)}">Moved Permanently</a>.\n\n`);
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (found) => `&#${found.charCodeAt(0)};`);
}

export function badUrl(): Answer {
  return { status: 400, contentType: 'text/plain; charset=utf-8', body: '400 Bad Request' };
}
