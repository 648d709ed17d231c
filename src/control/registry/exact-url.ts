/** A url in JSON files of ours: as text, which people read best, unless reading it back would give another url. */
import { MeshUrl } from '../../core/index.js';

/** The text form (spec agent 3.1), or the JSON form (3.2) where the text loses something, such as a `&` in a value. */
export function toExactUrl(url: MeshUrl): string | object {
  const text = url.toText();
  const read = MeshUrl.parse(text);
  return read.identity === url.identity && hasSameParameters(read, url) ? text : url.toJSON();
}

/** Reads either form. Throws AgentError `E_URL`. */
export function parseExactUrl(value: unknown): MeshUrl {
  return typeof value === 'string' ? MeshUrl.parse(value) : MeshUrl.fromJson(value);
}

function hasSameParameters(one: MeshUrl, other: MeshUrl): boolean {
  if (one.parameters.size !== other.parameters.size) return false;
  for (const [name, value] of one.parameters) if (other.parameters.get(name) !== value) return false;
  return true;
}
