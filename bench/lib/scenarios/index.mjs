/**
 * All scenarios. A scenario is a way of calls through systems that can be compared:
 *
 *   title           for people
 *   systems         those that can take part
 *   needs           programs of the machine (fields of `programs`) without which it is skipped
 *   cases           kinds of load, each { name, title, load (options of `meshload load`), figures, targets }
 *   startBackends   (context) => ports, as `start` needs them; starts what all systems share among `context.children`
 *   start           (name, context) => options of `meshload load` that lead to this system; they win over those of the case. Starts the
 *                   system's programs among `context.children`; `context.spec` is the case
 *
 * A figure is { field (of a run), title, digits }. A target says what Peony's figure divided by the peer's must be: `atLeast` for
 * rates, `atMost` for times and sizes.
 */
import { forward } from './forward.mjs';
import { httpBackend, httpByUrl } from './http-backend.mjs';
import { httpMesh } from './http-mesh.mjs';
import { httpRpc } from './http-rpc.mjs';
import { phpByHttp, phpByMotan } from './php.mjs';

export const SCENARIOS = [forward, httpRpc, httpMesh, httpBackend, httpByUrl, phpByMotan, phpByHttp];
export const SYSTEMS = ['peony', 'motan-go', 'relay', 'nginx'];
