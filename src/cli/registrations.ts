/** `peony registrations`: what programs registered at a running agent; and registering by hand. */
import fs from 'node:fs/promises';
import { type Command, Option } from 'commander';
import { AgentError, messageOf } from '../core/index.js';
import {
  ask,
  asking,
  type ManagementOptions,
  takeManagementOptions,
  targetOf,
  tell,
} from './management-client.js';
import { type CliIo, durationText, processIo, table } from './output.js';

/** `/v1/registrations`, as far as it is shown. */
export interface RegistrationsAnswer {
  readonly registrations: readonly {
    readonly id: string;
    readonly kind: string;
    readonly service: string;
    readonly group: string;
    readonly url: { readonly port: number; readonly parameters: Readonly<Record<string, string>> };
    readonly registries: readonly {
      readonly id: string;
      readonly desired?: string;
      readonly seen?: string;
      readonly lastError: string | null;
    }[];
    readonly lease: {
      readonly kind: string;
      readonly seconds: number | null;
      readonly endsInMs: number | null;
      readonly pid: number | null;
    };
  }[];
}

const JSON_TYPE = 'application/json';

interface AddOptions extends ManagementOptions {
  readonly kind: 'service' | 'refer';
  readonly ttl?: string;
}

export function addRegistrationsCommand(program: Command, io: CliIo = processIo): void {
  const command = takeManagementOptions(
    program.command('registrations').description('list what programs registered while the agent ran'),
  )
    .addHelpText('after', EXAMPLES)
    .action((options: ManagementOptions) =>
      asking(io, async () => {
        const answer = (await ask(targetOf(options), '/v1/registrations')) as RegistrationsAnswer;
        io.out(options.json ? `${JSON.stringify(answer, null, 2)}\n` : registrationsText(answer));
      }),
    );
  // Options of the list may stand before or behind the word.
  command
    .command('add <file>')
    .description('register the url in a JSON file, `-` for standard input')
    .addOption(new Option('--kind <kind>', 'what it is').choices(['service', 'refer']).default('service'))
    .option('--ttl <seconds>', 'ends unless it is registered again in time')
    .action((file: string, _options: object, self: Command) =>
      asking(io, async () => {
        const options = self.optsWithGlobals<AddOptions>();
        const body = JSON.stringify({
          kind: options.kind,
          url: await readJson(file),
          ...(options.ttl === undefined ? {} : { lease: { ttlSeconds: Number(options.ttl) } }),
        });
        const sent = { method: 'POST', type: JSON_TYPE, body } as const;
        const answer = (await tell(
          targetOf(options),
          '/v1/registrations?wait=3000',
          sent,
        )) as RegistrationsAnswer;
        io.out(options.json ? `${JSON.stringify(answer, null, 2)}\n` : registrationsText(answer));
      }),
    );
  command
    .command('remove <id>')
    .description('take a registration back')
    .action((id: string, _options: object, self: Command) =>
      asking(io, async () => {
        const options = self.optsWithGlobals<ManagementOptions>();
        const path = `/v1/registrations/${encodeURIComponent(id)}?wait=3000`;
        await tell(targetOf(options), path, { method: 'DELETE', type: JSON_TYPE, body: '' });
        io.out(options.json ? '{}\n' : 'taken back\n');
      }),
    );
}

export function registrationsText({ registrations }: RegistrationsAnswer): string {
  const rows = registrations.map((one) => [
    one.id,
    one.kind,
    one.service,
    one.group,
    one.kind === 'service' ? `${one.url.port} -> ${one.url.parameters.proxy ?? '-'}` : '-',
    one.registries.map(registryText).join(', '),
    leaseText(one.lease),
  ]);
  const headline = ['id', 'kind', 'service', 'group', 'export', 'registries', 'lease'];
  return table(headline, rows, 'none: no program registered anything');
}

type Shown = RegistrationsAnswer['registrations'][number];

/** What is not as it should be is said with why. */
function registryText({ id, desired, seen, lastError }: Shown['registries'][number]): string {
  if (desired === undefined) return id;
  if (desired === seen) return `${id} ${seen}`;
  return `${id} ${seen}, wanted ${desired}${lastError === null ? '' : `: ${lastError}`}`;
}

function leaseText({ kind, endsInMs, pid }: Shown['lease']): string {
  if (kind === 'ttl') return `${durationText(endsInMs ?? 0)} left`;
  return kind === 'process' ? `process ${pid}` : kind;
}

async function readJson(file: string): Promise<unknown> {
  try {
    const text = file === '-' ? await standardInput() : await fs.readFile(file, 'utf8');
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new AgentError('E_FILE', `${file}: ${messageOf(error)}`, { cause: error });
  }
}

async function standardInput(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

const EXAMPLES = `
Exit code: 0; 2 when the agent refuses; 3 when no agent answers there.

Examples:
  $ peony registrations
  $ peony registrations --json | jq -r '.registrations[].id'
  $ peony registrations add echo.json --ttl 60
  $ peony registrations remove 3f2a9c0d1e4b5a67
`;
