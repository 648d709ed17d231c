/**
 * Lays a later tree over an earlier one (spec agent 2.2): maps merge recursively, lists are concatenated, a later null changes
 * nothing, everything else is replaced. There is no way to delete a key.
 */
import { type ConfigNode, ListNode, type MapEntry, MapNode } from './node.js';

export function mergeMaps(earlier: MapNode, later: MapNode): MapNode {
  if (earlier.entries.size === 0) return later;
  const entries = new Map<string, MapEntry>(earlier.entries);
  for (const [key, entry] of later.entries) {
    const before = entries.get(key);
    if (before === undefined) entries.set(key, entry);
    else if (!isNull(entry.node)) entries.set(key, mergeEntries(before, entry));
  }
  return new MapNode(later, entries);
}

function mergeEntries(earlier: MapEntry, later: MapEntry): MapEntry {
  if (earlier.node.kind === 'map' && later.node.kind === 'map') {
    return { ...later, node: mergeMaps(earlier.node, later.node), overrode: earlier.overrode };
  }
  if (earlier.node.kind === 'list' && later.node.kind === 'list') {
    return {
      ...later,
      node: new ListNode(later.node, [...earlier.node.items, ...later.node.items]),
      overrode: earlier.overrode,
    };
  }
  const replaced = isNull(earlier.node) ? earlier.overrode : [...earlier.overrode, earlier.node];
  return { ...later, overrode: [...replaced, ...later.overrode] };
}

function isNull(node: ConfigNode): boolean {
  return node.kind === 'scalar' && node.type === 'null';
}
