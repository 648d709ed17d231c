/** `local`: one node, of protocol `local`, that the embedding program itself answers (spec agent 6.4). */
import type { MeshUrl } from '../../core/index.js';
import { defineRegistry, type RegistryDeps, type RegistryOptions } from './define-registry.js';
import { FixedAnswerRegistry } from './fixed-answer.js';

const options: RegistryOptions<null> = { keys: {}, read: () => null, identity: () => 'local' };

class LocalRegistry extends FixedAnswerRegistry {
  protected readonly address = '';
  protected readonly lastError = null;
  protected readonly lastContactMs: number;

  constructor(id: string, protocol: string, _chosen: null, deps: RegistryDeps) {
    super(id, protocol);
    this.lastContactMs = deps.clock.wallMs();
  }

  protected answer(refer: MeshUrl): readonly MeshUrl[] {
    return [refer.with({ protocol: 'local' })];
  }
}

export const local = defineRegistry(options, LocalRegistry);
