/**
 * What stands in the node of a service: the text of its url, as bytes (spec agent 6.5).
 *
 *   plain                UTF-8                                   motan-go, Java's `zk`, motan-manager
 *   Java object stream   ac ed 00 05 74 <length 2> text          Java's `zookeeper`
 *                        ac ed 00 05 7c <length 8> text          the same, over 65,535 bytes
 *   nothing              the name of the node is host:port
 */
import { isCopy, MeshUrl } from '../../../core/index.js';

const JAVA_STREAM = 0xaced;
const SHORT_TEXT = 0x74;
const LONG_TEXT = 0x7c;
/** More than any url; a node may hold a megabyte. */
const DATA_BYTES_MAX = 64 * 1024;
/** As motan-go has it for a name without a port. */
const PORT_OF_BARE_NAME = 80;

/** The text in the data, whichever way it was written. Throws when there is none, or one of over `bytesMax` bytes. */
export function textOfData(data: Buffer, bytesMax = DATA_BYTES_MAX): string {
  if (data.length > bytesMax) throw new Error(`${data.length} bytes, expected at most ${bytesMax}`);
  if (data.length < 2 || data.readUInt16BE(0) !== JAVA_STREAM) return data.toString('utf8');
  const isLong = data[4] === LONG_TEXT;
  const textAt = isLong ? 13 : 7;
  if ((data[4] !== SHORT_TEXT && !isLong) || data.length < textAt)
    throw new Error('a Java object that is no text');
  // The length in the stream says nothing that the length of the data does not.
  return data.toString('utf8', textAt);
}

/** The node that a child of `server` stands for. Throws with the reason when it stands for none. */
export function nodeOfChild(name: string, data: Buffer, refer: MeshUrl): MeshUrl {
  const text = textOfData(data).trim();
  const node = text === '' ? nodeOfName(name, refer) : MeshUrl.parse(text);
  if (node.host === '') throw new Error(`no host in ${printable(text)}`);
  const isUnix = node.host.startsWith('unix://');
  if (!isUnix && (node.port < 1 || node.port > 65_535))
    throw new Error(`no port in ${printable(text || name)}`);
  return node;
}

/** What makes no sense is somebody's own, as is what only its name tells. */
export function isCopyData(data: Buffer): boolean {
  try {
    return isCopy(MeshUrl.parse(textOfData(data)));
  } catch {
    return false; // no url: not ours to judge
  }
}

function nodeOfName(name: string, refer: MeshUrl): MeshUrl {
  const colonAt = name.lastIndexOf(':');
  const host = colonAt < 0 ? name : name.slice(0, colonAt);
  const digits = name.slice(colonAt + 1);
  const port = colonAt < 0 ? PORT_OF_BARE_NAME : /^\d{1,5}$/.test(digits) ? Number(digits) : 0;
  return refer.with({ host, port });
}

/** Short, and without what would break a line of a log. */
export function printable(text: string): string {
  const cut = text.length > 200 ? `${text.slice(0, 200)}...` : text;
  return JSON.stringify(cut);
}
