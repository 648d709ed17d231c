/**
 * From a call on an export port to the service that it is for: group and service, nothing else (spec agent 5.2). Calls with
 * `M_fws` are for the agent itself.
 */
import { type CallHead, type Failure, failure, type MeshUrl, utf8Text } from '../../core/index.js';

export interface Exported {
  readonly url: MeshUrl;
}

export class ExportTable<Target extends Exported> {
  /** Changes with every table, so that memos of older tables are recognised. */
  readonly number: number;
  readonly #byKey = new Map<string, Target>();
  readonly #framework: ReadonlyMap<string, Target>;

  /**
   * @param targets exported services; of two with one group and service the first stands
   * @param framework what the agent answers itself, by service name
   */
  constructor(number: number, targets: Iterable<Target>, framework: ReadonlyMap<string, Target>) {
    this.number = number;
    this.#framework = framework;
    for (const target of targets) {
      const key = keyOf(latin1(target.url.group), latin1(target.url.path));
      if (!this.#byKey.has(key)) this.#byKey.set(key, target);
    }
  }

  resolve(head: CallHead): Target | Failure {
    // The text is compared by meta clients: spec wire 4.5.
    if (head.metadata.text('M_fws') !== '')
      return this.#framework.get(head.service) ?? failure('E_NO_FRAMEWORK_SERVICE', 'service not support');
    const group = head.group || head.metadata.text('group');
    return (
      this.#byKey.get(keyOf(group, head.service)) ??
      // motan-go's endpoints look for the beginning of this text together with code 404.
      failure('E_NO_EXPORT', `provider not exist serviceKey=${utf8Text(group)}_${utf8Text(head.service)}`)
    );
  }
}

/** Metadata values hold no newline. */
function keyOf(group: string, service: string): string {
  return `${group}\n${service}`;
}

function latin1(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}
