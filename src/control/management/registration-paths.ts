/**
 * Dynamic registration as motan-go's and Java's mesh registries ask for it (spec agent 7.3): the HTTP status is the code, keys are in
 * alphabetical order, a query gives 404 without a body, and the method does not matter. `/registry/unsubscribe` is ours.
 */
import { AgentError, type ManagementView, REGISTRATION_STATUS } from '../../core/index.js';
import { goJson } from './go-json.js';
import { shownUrl } from './information-paths.js';
import { type Answer, changing, json, type ManagementPath, type ManagementRequest, reading } from './path.js';

export const registrationPaths: Readonly<Record<string, ManagementPath>> = {
  '/registry/register': changing(exactly((request) => change(request, 'add', 'service'))),
  '/registry/unregister': changing(exactly((request) => change(request, 'remove', 'service'))),
  '/registry/subscribe': changing(exactly((request) => change(request, 'add', 'refer'))),
  '/registry/unsubscribe': changing(exactly((request) => change(request, 'remove', 'refer'))),
  '/registry/list': reading(exactly(({ view }) => told(200, 'ok', dynamicLists(view)))),
  '/registry/info': reading(exactly(({ view }) => told(200, 'ok', { mesh_port: view.config().agent.port }))),
};

/** The peers compare the whole target. */
function exactly(answer: ManagementPath['answer']): ManagementPath['answer'] {
  return (request) => (request.target.includes('?') ? json('', 404) : answer(request));
}

async function change(
  { view, body }: ManagementRequest,
  what: 'add' | 'remove',
  kind: 'service' | 'refer',
): Promise<Answer> {
  let posted: unknown;
  try {
    posted = JSON.parse(body.toString('utf8'));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return told(400, body.length === 0 ? 'unexpected end of JSON input' : error.message);
  }
  try {
    const { registrations } = view;
    if (what === 'add') await registrations.add(kind, posted, null);
    else await registrations.remove(kind, posted);
    return told(200, 'ok');
  } catch (error) {
    const status = error instanceof AgentError ? REGISTRATION_STATUS[error.code] : undefined;
    if (status === undefined) throw error;
    return told(status, (error as AgentError).message);
  }
}

function told(code: number, message: string, body?: object): Answer {
  return json(goJson({ ...(body === undefined ? {} : { body }), code, message }), code);
}

function dynamicLists(view: ManagementView): object {
  return {
    register_nodes: view.dynamicServices().map(shownUrl),
    subscribe_nodes: view.dynamicRefers().map(shownUrl),
  };
}
