/** Calls an https backend twice with a large body, in a process that trusts what its environment says; prints what came of it. */
import { MeshUrl, silentLogger } from '../../../src/core/index.js';
import { createHttpProvider } from '../../../src/data/provider/http/index.js';
import { IoLoop } from '../../../src/data/transport/index.js';
import { backendCall, callHead, runCall, simple } from '../../support/backend-call.js';
import { realClock } from '../../support/clock.js';

const BYTES = 300_000;
const parameters = new Map(
  Object.entries({
    proxyAddress: `127.0.0.1:${process.argv[2]}`,
    proxySchema: 'https',
    enableRewrite: 'false',
    requestTimeout: '5000',
  }),
);
const loop = new IoLoop(realClock);
const provider = createHttpProvider(
  { url: new MeshUrl({ parameters }), locations: null, httpMethods: new Map() },
  { loop, useRaw: true, logger: silentLogger },
);

let outcome = '';
for (let count = 0; count < 2; count += 1) {
  const body = simple.bytes(Buffer.alloc(BYTES, 't'));
  const call = backendCall(callHead('/p', { HTTP_Method: 'POST' }), { body, receivedMs: loop.tick() });
  const told = await runCall(provider, call);
  outcome =
    told.reply.failure === null
      ? `ok ${told.body.length - 5} ${provider.report().connections}`
      : `${told.reply.failure.code} ${told.reply.failure.message}`;
}
console.log(outcome);
provider.close(0);
loop.close();
