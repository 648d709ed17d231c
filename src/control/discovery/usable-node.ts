/** Which nodes of a registry's answer a refer can use (spec agent 3.3, traffic 9.2). */
import type { MeshUrl } from '../../core/index.js';

/**
 * The protocols are equal, or the node is motan2 and the refer motan, or the node is local; the paths are equal; the
 * serializations are equal unless the node is motan2; the versions are equal, where an absent one counts as 0.1 or as
 * 1.0, whichever fits. The group is not compared: a registry was asked for it.
 */
export function isUsable(refer: MeshUrl, node: MeshUrl): boolean {
  const { protocol } = node;
  if (
    protocol !== refer.protocol &&
    !(protocol === 'motan2' && refer.protocol === 'motan') &&
    protocol !== 'local'
  ) {
    return false;
  }
  if (node.path !== refer.path) return false;
  if (protocol !== 'motan2' && node.text('serialization') !== refer.text('serialization')) return false;
  const wanted = refer.parameters.get('version');
  const offered = node.parameters.get('version');
  return wanted === offered || isDefaultVersion(wanted, offered) || isDefaultVersion(offered, wanted);
}

function isDefaultVersion(absent: string | undefined, other: string | undefined): boolean {
  return (
    (absent === undefined || absent === '') && (other === undefined || ['', '0.1', '1.0'].includes(other))
  );
}
