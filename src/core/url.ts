/**
 * The Motan url: how refers, services, nodes and agents are named in configuration, registries and the management API.
 *
 *   protocol://host:port/path?group=g&name=value&...
 *
 * Go writes names and values unescaped with `group` first and the rest sorted bytewise (spec agent 3.1); Java escapes
 * and adds a trailing `&`. Reading accepts both; writing is Go's form, because that is what every reader takes.
 * A MeshUrl is immutable.
 */
import { AgentError } from './errors.js';

export interface UrlFields {
  protocol: string;
  host: string;
  port: number;
  path: string;
  group: string;
  parameters: ReadonlyMap<string, string>;
}

const NONE: ReadonlyMap<string, string> = new Map();

export class MeshUrl implements UrlFields {
  readonly protocol: string;
  /** Host name, address, or `unix://path` with port 0. */
  readonly host: string;
  readonly port: number;
  readonly path: string;
  readonly group: string;
  readonly parameters: ReadonlyMap<string, string>;

  constructor(fields: Partial<UrlFields>) {
    this.protocol = fields.protocol ?? '';
    this.host = fields.host ?? '';
    this.port = fields.port ?? 0;
    this.path = fields.path ?? '';
    this.group = fields.group ?? '';
    this.parameters = fields.parameters ?? NONE;
  }

  /** Reads the text form of Go and of Java. Throws AgentError `E_URL` when there is no `://`. */
  static parse(text: string): MeshUrl {
    const questionAt = text.indexOf('?');
    const head = questionAt < 0 ? text : text.slice(0, questionAt);
    const schemeAt = head.indexOf('://');
    if (schemeAt < 0) throw new AgentError('E_URL', `not a url, "://" is missing: ${text.slice(0, 200)}`);
    const rest = head.slice(schemeAt + 3);
    // A unix socket as host (`motan2://unix:///run/a.sock:0/path`) has slashes of its own: the port ends it.
    const unix = /^(unix:\/\/.*?):(\d+)(?:\/(.*))?$/.exec(rest);
    const slashAt = rest.indexOf('/');
    const authority = unix ? unix[1]! : slashAt < 0 ? rest : rest.slice(0, slashAt);
    const path = unix ? (unix[3] ?? '') : slashAt < 0 ? '' : rest.slice(slashAt + 1);
    const colonAt = unix ? -1 : authority.lastIndexOf(':');
    const port = unix ? Number(unix[2]) : colonAt < 0 ? 0 : Number.parseInt(authority.slice(colonAt + 1), 10);
    const parameters = new Map<string, string>();
    if (questionAt >= 0) readParameters(text.slice(questionAt + 1), parameters);
    const group = parameters.get('group') ?? '';
    parameters.delete('group');
    return new MeshUrl({
      protocol: head.slice(0, schemeAt),
      host: colonAt < 0 ? authority : authority.slice(0, colonAt),
      port: Number.isInteger(port) ? port : 0,
      path: decode(path),
      group,
      parameters,
    });
  }

  /** Reads the JSON form of spec agent 3.2; names are matched without case as Go does. Throws AgentError `E_URL`. */
  static fromJson(value: unknown): MeshUrl {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new AgentError('E_URL', 'a url must be a JSON object');
    }
    const fields = new Map(
      Object.entries(value).map(([name, field]) => [name.toLowerCase(), field as unknown]),
    );
    const text = (name: string): string => {
      const field = fields.get(name) ?? '';
      if (typeof field !== 'string') throw new AgentError('E_URL', `url field "${name}" must be a string`);
      return field;
    };
    const port = fields.get('port') ?? 0;
    if (typeof port !== 'number' || !Number.isInteger(port))
      throw new AgentError('E_URL', 'url field "port" must be an integer');
    const given = fields.get('parameters') ?? {};
    if (typeof given !== 'object' || given === null)
      throw new AgentError('E_URL', 'url field "parameters" must be an object');
    const parameters = new Map(Object.entries(given).map(([name, field]) => [name, String(field)]));
    const group = text('group') || (parameters.get('group') ?? '');
    parameters.delete('group');
    return new MeshUrl({
      protocol: text('protocol'),
      host: text('host'),
      port,
      path: text('path'),
      group,
      parameters,
    });
  }

  with(changes: Partial<UrlFields>): MeshUrl {
    return new MeshUrl({
      protocol: this.protocol,
      host: this.host,
      port: this.port,
      path: this.path,
      group: this.group,
      parameters: this.parameters,
      ...changes,
    });
  }

  /** The same url with one parameter set. */
  withParameter(name: string, value: string): MeshUrl {
    return this.with({ parameters: new Map(this.parameters).set(name, value) });
  }

  /** What makes two urls the same node: spec agent 3.3. */
  get identity(): string {
    return `${this.protocol}://${this.host}:${this.port}/${this.path}?group=${this.group}`;
  }

  /** `host:port`, or the unix path text as host with its port, as the peers print it. */
  get address(): string {
    return `${this.host}:${this.port}`;
  }

  text(name: string, otherwise = ''): string {
    return this.parameters.get(name) ?? otherwise;
  }

  /** A base-10 integer; missing or unparsable gives `otherwise` (spec traffic 1.3). */
  int(name: string, otherwise: number): number {
    return toInt(this.parameters.get(name), otherwise);
  }

  /** As `int`, and values below 1 give `otherwise`. */
  positiveInt(name: string, otherwise: number): number {
    const value = this.int(name, otherwise);
    return value < 1 ? otherwise : value;
  }

  /** Go's forms of a boolean; anything else gives `otherwise`. */
  bool(name: string, otherwise: boolean): boolean {
    return toBool(this.parameters.get(name)) ?? otherwise;
  }

  /** `method(desc).name` first, then `name`: spec agent 2.10. */
  methodInt(method: string, desc: string, name: string, otherwise: number): number {
    const own = this.parameters.get(`${method}(${desc}).${name}`);
    return own === undefined ? this.int(name, otherwise) : toInt(own, this.int(name, otherwise));
  }

  toText(): string {
    let out = `${this.protocol}://${this.host}:${this.port}/${this.path}?group=${this.group}`;
    for (const name of [...this.parameters.keys()].sort()) out += `&${name}=${this.parameters.get(name)}`;
    return out;
  }

  toJSON(): {
    protocol: string;
    host: string;
    port: number;
    path: string;
    group: string;
    parameters: Record<string, string>;
  } {
    const { protocol, host, port, path, group } = this;
    return { protocol, host, port, path, group, parameters: Object.fromEntries(this.parameters) };
  }
}

/** An optional minus and digits, as Go's strconv takes it. */
export function toInt(text: string | undefined, otherwise: number): number {
  if (text === undefined || !/^[+-]?\d{1,18}$/.test(text)) return otherwise;
  return Number(text);
}

export function toBool(text: string | undefined): boolean | null {
  if (text === undefined) return null;
  if (/^(?:1|t|T|TRUE|true|True)$/.test(text)) return true;
  if (/^(?:0|f|F|FALSE|false|False)$/.test(text)) return false;
  return null;
}

function readParameters(text: string, into: Map<string, string>): void {
  for (const piece of text.split('&')) {
    const equalsAt = piece.indexOf('=');
    if (equalsAt > 0) into.set(decode(piece.slice(0, equalsAt)), decode(piece.slice(equalsAt + 1)));
  }
}

/** Undoes Java's percent escapes; text that is not validly escaped was written by Go and stays as it is. */
function decode(text: string): string {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch (error) {
    if (error instanceof URIError) return text;
    throw error;
  }
}
