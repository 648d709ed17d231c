/** Parameters of a request, as Go's FormValue finds them: the form body first, then the query; the first value counts. */
import { AgentError } from '../../core/index.js';

const BODY_METHODS = new Set(['POST', 'PUT', 'PATCH']);

/** Throws AgentError `E_FORM` when a multipart body cannot be read. */
export async function readForm(
  method: string,
  url: string,
  contentType: string | undefined,
  body: unknown,
): Promise<URLSearchParams> {
  const form = new URLSearchParams();
  if (BODY_METHODS.has(method) && Buffer.isBuffer(body) && contentType !== undefined) {
    await readBody(form, contentType, body);
  }
  const questionAt = url.indexOf('?');
  if (questionAt >= 0) {
    for (const [name, value] of new URLSearchParams(url.slice(questionAt + 1))) form.append(name, value);
  }
  return form;
}

async function readBody(form: URLSearchParams, contentType: string, body: Buffer): Promise<void> {
  const type = contentType.split(';')[0]!.trim().toLowerCase();
  if (type === 'application/x-www-form-urlencoded') {
    for (const [name, value] of new URLSearchParams(body.toString('utf8'))) form.append(name, value);
  } else if (type === 'multipart/form-data') {
    for (const [name, value] of await readMultipart(contentType, body)) {
      if (typeof value === 'string') form.append(name, value);
    }
  }
}

async function readMultipart(contentType: string, body: Buffer): Promise<FormData> {
  try {
    return await new Response(new Uint8Array(body), { headers: { 'content-type': contentType } }).formData();
  } catch (cause) {
    throw new AgentError('E_FORM', 'the multipart form cannot be read', { cause });
  }
}
