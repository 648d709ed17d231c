/** Entries that come while the agent runs (spec agent 7.3), read by the rules of those that stand in files. */
import {
  AgentError,
  type EntryReader,
  type MeshUrl,
  type ReferConfig,
  type ServiceConfig,
} from '../../core/index.js';
import type { AgentParts, LoadContext } from './context.js';
import { EntryDraft } from './entry.js';
import { commaList } from './environment.js';
import { type MapEntry, MapNode, ScalarNode, SourceFile, type Spot } from './node.js';
import { Problems } from './problems.js';
import { readRefer } from './refers.js';
import { readService, withSuffix } from './services.js';

/** They stand in no file. */
const NOWHERE: Spot = { file: new SourceFile('registration'), offset: 0 };
const SECTION = 'registration';

export class DynamicEntries implements EntryReader {
  readonly #context: LoadContext;
  readonly #agent: AgentParts;
  readonly #staticMeta: ReadonlyMap<string, string>;

  constructor(context: LoadContext, agent: AgentParts, staticMeta: ReadonlyMap<string, string>) {
    this.#context = context;
    this.#agent = agent;
    this.#staticMeta = staticMeta;
  }

  groups(text: string): readonly string[] {
    return commaList([text, ...this.#context.environment.additionalGroups].join(','));
  }

  service(id: string, url: MeshUrl): ServiceConfig {
    const { draft, context } = this.#begin(id, url);
    const registryIds = readService(draft, this.#agent, this.#staticMeta, context);
    if (registryIds === null) throw refusal(context.problems);
    const made = draft.toUrl();
    const group = withSuffix(made.group, context.environment.serviceGroupSuffix);
    return Object.freeze({ id, confId: id, url: made.with({ group }), registryIds, place: null });
  }

  refers(id: string, url: MeshUrl): readonly ReferConfig[] {
    const { draft, context } = this.#begin(id, url.with({ host: '', port: 0 }));
    const registryIds = readRefer(draft, this.#agent, context);
    if (registryIds === null) throw refusal(context.problems);
    const made = draft.toUrl();
    const refer = Object.freeze({ id, url: made, registryIds, place: null });
    const suffix = context.environment.referGroupSuffix;
    if (suffix === '' || made.group.endsWith(suffix)) return [refer];
    const twin = made.with({ group: made.group + suffix });
    return [refer, Object.freeze({ ...refer, id: `auto_${id}${twin.group}`, url: twin })];
  }

  #begin(id: string, url: MeshUrl): { draft: EntryDraft; context: LoadContext } {
    const draft = new EntryDraft(SECTION, id, toNode(url), null, NOWHERE);
    // An id of ours is nothing that others should see; a client's own stays.
    if (url.parameters.get('conf-id') === undefined) draft.parameters.delete('conf-id');
    else draft.parameters.set('conf-id', url.text('conf-id'));
    return { draft, context: { ...this.#context, problems: new Problems() } };
  }
}

function toNode(url: MeshUrl): MapNode {
  const entries = new Map<string, MapEntry>();
  const add = (key: string, value: string | number): void => {
    const type = typeof value === 'number' ? 'integer' : 'string';
    const node = new ScalarNode(NOWHERE, type, value, String(value));
    entries.set(key, { key, keyAt: NOWHERE, keyIsText: true, node, overrode: [] });
  };
  for (const [name, value] of url.parameters) add(name, value);
  const { protocol, host, port, path, group } = url;
  for (const [name, value] of Object.entries({ protocol, host, port, path, group })) add(name, value);
  return new MapNode(NOWHERE, entries);
}

function refusal(problems: Problems): AgentError {
  const reasons = problems.list
    .filter((problem) => problem.severity === 'error')
    .map(({ key, value, message, expected }) => {
      const name = key.slice(key.lastIndexOf('.') + 1);
      const found = value === null || value === '' ? '' : ` ${JSON.stringify(value)}`;
      const wanted = expected === null ? '' : `; expected ${expected}`;
      return `${name}${found}: ${message.replace(/; the entry (?:is left out|works without it)$/, '')}${wanted}`;
    });
  return new AgentError('E_ENTRY', reasons.join('. '));
}
