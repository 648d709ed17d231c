/**
 * From a call to its cluster: spec wire 7.2.
 *
 * One refer with the service: it is taken, whatever group or version the caller names. Several: the group must be named, and the
 * first refer in configuration order that fits is taken.
 */
import { type CallHead, type Failure, failure, type MeshUrl, utf8Text } from '../../core/index.js';

export interface Routable {
  readonly refer: MeshUrl;
}

export class RouteTable<Target extends Routable> {
  /** Changes with every table, so that memos of older tables are recognised. */
  readonly number: number;
  readonly #byService = new Map<string, Target[]>();

  constructor(number: number, targets: Iterable<Target>) {
    this.number = number;
    for (const target of targets) {
      const path = Buffer.from(target.refer.path, 'utf8').toString('latin1');
      const known = this.#byService.get(path);
      if (known === undefined) this.#byService.set(path, [target]);
      else known.push(target);
    }
  }

  /** Whether a refer has that service, in whatever group. */
  knows(service: string): boolean {
    return this.#byService.has(service);
  }

  resolve(head: CallHead): Target | Failure {
    if (head.service === '') return notFound('empty service is not supported. service: ');
    const targets = this.#byService.get(head.service);
    if (targets === undefined) return notFound(`cluster not found. service: ${utf8Text(head.service)}`);
    if (targets.length === 1) return targets[0]!;
    const service = utf8Text(head.service);
    if (head.group === '') {
      return notFound(`multiple clusters are matched with service: ${service}, but the group is empty`);
    }
    return (
      targets.find((target) => fits(target.refer, head)) ??
      notFound(`no cluster matches the request; ${infoOf(head)}`)
    );
  }
}

function fits(refer: MeshUrl, head: CallHead): boolean {
  if (refer.group !== utf8Text(head.group)) return false;
  const wanted = head.proxyProtocol;
  const isProtocolFine =
    wanted === '' || wanted === refer.protocol || (refer.protocol === 'motan2' && wanted === 'motan');
  if (!isProtocolFine) return false;
  const version = refer.text('version');
  return version === '' || head.version === '' || version === head.version;
}

function infoOf(head: CallHead): string {
  const { service, group, proxyProtocol, version } = head;
  return utf8Text(
    `info: {service: ${service}, group: ${group}, protocol: ${proxyProtocol}, version: ${version}}`,
  );
}

/** The beginning of the text is what Java and PHP clients look for. */
function notFound(text: string): Failure {
  return failure('E_NO_CLUSTER', `cluster not found. cluster: ${text}`);
}
