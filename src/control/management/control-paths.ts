/** Switchers and logs: spec agent 7.4, 7.5. Answers are HTTP 200 whatever happened, as scripts of the peers expect. */
import { type ManagementView, toBool } from '../../core/index.js';
import { goJson, sorted } from './go-json.js';
import {
  type Answer,
  changing,
  type ManagementPath,
  type ManagementRequest,
  plain,
  reading,
} from './path.js';

export const controlPaths: Readonly<Record<string, ManagementPath>> = {
  '/switcher/get': reading((request) => plain(getSwitcher(request))),
  '/switcher/set': changing((request) => plain(setSwitcher(request))),
  '/switcher/getAll': reading(({ view }) => plain(goJson(sorted(view.switchers.all())))),
  '/logConfig/get': reading(({ view }) => logAnswer(200, logConfig(view))),
  '/logConfig/set': changing(setLogConfig),
};

function getSwitcher({ view, parameter }: ManagementRequest): string {
  const name = parameter('name') ?? '';
  if (name === '') return 'Please specify a switcher name!';
  const value = view.switchers.get(name);
  if (value === undefined) return `Not a registered switcher, name: ${name}`;
  return `Switcher value for ${name} is ${value}!`;
}

function setSwitcher({ view, parameter }: ManagementRequest): string {
  const name = parameter('name') ?? '';
  const text = parameter('value') ?? '';
  if (name === '') return 'Please specify a switcher name!';
  if (text === '') return 'Please specify a switcher value!';
  const value = toBool(text);
  if (value === null) return `Invalid switcher value(must be Bool): ${text}`;
  if (!view.switchers.set(name, value)) return `Not a registered switcher, name: ${name}`;
  return `Set switcher ${name} value to ${text} !`;
}

/** A JSON text inside a string; that is how it is read by the peers' tools. */
function logConfig({ logs }: ManagementView): string {
  return goJson({ level: logs.level(), accessLog: logs.isAccessLogOn(), metricsLog: logs.isMetricsLogOn() });
}

/** Only the first parameter that is present counts. */
function setLogConfig({ view, parameter }: ManagementRequest): Answer {
  const level = parameter('level');
  if (level !== null) {
    if (view.logs.setLevel(level)) return logAnswer(200, `set log level:${level}`);
    return logAnswer(500, `set log level failed. err:unrecognized level:${level}`);
  }
  const access = parameter('access');
  if (access !== null) return setLogSwitch('accessLog', access, (isOn) => view.logs.setAccessLog(isOn));
  const metrics = parameter('metrics');
  if (metrics !== null) return setLogSwitch('metricsLog', metrics, (isOn) => view.logs.setMetricsLog(isOn));
  return plain('');
}

function setLogSwitch(name: string, text: string, set: (isOn: boolean) => void): Answer {
  const isOn = toBool(text);
  if (isOn === null) {
    const reason = `strconv.ParseBool: parsing ${JSON.stringify(text)}: invalid syntax`;
    return logAnswer(500, `set ${name} status failed. err:${reason}`);
  }
  set(isOn);
  return logAnswer(200, `set ${name} status:${text}`);
}

function logAnswer(code: number, body: string): Answer {
  return plain(`${goJson({ code, body })}\n`);
}
