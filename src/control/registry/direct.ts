/**
 * `direct`: the nodes stand in the configuration (spec agent 6.3). Read-only: nothing is announced, nothing changes.
 *
 * `host` and `port` together name one node and win over `address`, a comma list of `host:port` and `unix://path`.
 * Elements that are neither are left out and named in the log and the report; the others serve.
 */
import { type MeshUrl, parseNodeAddress } from '../../core/index.js';
import { defineRegistry, type RegistryDeps, type RegistryOptions } from './define-registry.js';
import { FixedAnswerRegistry } from './fixed-answer.js';

interface DirectOptions {
  readonly addresses: readonly { readonly host: string; readonly port: number }[];
  /** Elements of `address` that are no addresses, as written. */
  readonly refused: readonly string[];
  /** Replaces the group of every node; empty keeps the refer's. */
  readonly group: string;
}

const options: RegistryOptions<DirectOptions> = {
  keys: {
    host: 'host of the only node; needs port',
    port: 'port of the only node; with host, address is ignored',
    address: 'comma list of host:port or unix://path',
    group: "group of the nodes instead of the refer's",
  },
  read(url) {
    if (url.host !== '' && url.port > 0) {
      return { addresses: [{ host: url.host, port: url.port }], refused: [], group: url.group };
    }
    const addresses: { host: string; port: number }[] = [];
    const refused: string[] = [];
    for (const element of url.text('address').split(',')) {
      if (element.trim() === '') continue;
      const address = parseNodeAddress(element);
      if (address === null) refused.push(element.trim());
      else addresses.push(address);
    }
    return { addresses, refused, group: url.group };
  },
  identity: ({ addresses, refused, group }) =>
    `direct?group=${group}&address=${addresses.map(addressText).join(',')}&refused=${refused.join(',')}`,
};

class DirectRegistry extends FixedAnswerRegistry {
  readonly #options: DirectOptions;
  protected readonly address: string;
  protected readonly lastError: string | null;
  protected readonly lastContactMs: number | null;

  constructor(id: string, protocol: string, chosen: DirectOptions, deps: RegistryDeps) {
    super(id, protocol);
    this.#options = chosen;
    this.address = chosen.addresses.map(addressText).join(',');
    this.lastError = troubleOf(id, chosen);
    this.lastContactMs = chosen.addresses.length === 0 ? null : deps.clock.wallMs();
    if (this.lastError !== null) deps.logger.warn({ registry: id }, this.lastError);
  }

  protected answer(refer: MeshUrl): readonly MeshUrl[] | string {
    const { addresses, group } = this.#options;
    if (addresses.length === 0) return this.lastError ?? '';
    // The parameters are the refer's own map: a node costs no copy.
    return addresses.map(({ host, port }) => refer.with({ host, port, group: group || refer.group }));
  }
}

export const direct = defineRegistry(options, DirectRegistry);

function troubleOf(id: string, { addresses, refused }: DirectOptions): string | null {
  const wanted = 'expected host:port or unix://path';
  const named = refused.map((element) => `"${element}"`).join(', ');
  if (refused.length > 0) return `motan-registry.${id}.address: ${named} skipped, ${wanted}`;
  return addresses.length > 0 ? null : `motan-registry.${id}: no address given, ${wanted}`;
}

function addressText({ host, port }: { host: string; port: number }): string {
  return port === 0 ? host : `${host}:${port}`;
}
