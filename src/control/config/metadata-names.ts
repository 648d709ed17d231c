/**
 * `httpMetadataAllow`: headers that typed calls carry as metadata, and metadata that comes back as headers. What routes a call or
 * frames a message is never among them, whatever an operator writes.
 */
import type { ConfigNode } from './node.js';
import type { Problems } from './problems.js';

const KEY = 'motan-agent.httpMetadataAllow';

/** Names that say where a call goes, who calls and what a backend trusts (spec wire 3.1), and names that frame an HTTP message. */
const RESERVED: ReadonlySet<string> = new Set(
  [
    'host group version application module clientgroup serialization requestidfromclient remoteip upstreamcode',
    'connection keep-alive proxy proxy-authenticate proxy-authorization proxy-connection te trailer trailers',
    'transfer-encoding upgrade content-length content-type content-encoding content-range accept-encoding expect',
    'date cache-control retry-after allow www-authenticate x-peony-timeout-ms x-peony-request-id',
  ].flatMap((names) => names.split(' ')),
);

/** The usable names in lower case; the others are reported and left out. */
export function readMetadataNames(
  names: readonly string[],
  node: ConfigNode | null,
  problems: Problems,
): readonly string[] {
  const usable = new Set<string>();
  for (const name of names) {
    const lower = name.toLowerCase();
    const trouble = troubleWith(lower);
    if (trouble === null) usable.add(lower);
    else {
      problems.error({
        code: 'reserved-name',
        key: KEY,
        node,
        value: name,
        message: `${trouble}; it is left out`,
        expected: 'names of headers that neither route nor frame',
        entry: KEY,
      });
    }
  }
  return Object.freeze([...usable]);
}

function troubleWith(lower: string): string | null {
  if (!/^[!#$%&'*+\-.^_`|~0-9a-z]+$/.test(lower)) return 'not the name of a header';
  // `M_*` routes; `HTTP_*` is what PHP and the HTTP providers are told of a request (httpoxy); a dash may stand for either.
  const plain = lower.replaceAll('-', '_');
  if (/^(?:m_|http_)/.test(plain) || RESERVED.has(lower)) return 'a reserved name';
  return null;
}
