/** What a refer says itself about holding nodes; the rest is that of the agent. */
import type { HoldSettings, MeshUrl } from '../../core/index.js';

export function holdSettings(refer: MeshUrl, agent: HoldSettings): HoldSettings {
  const seconds = (name: string, otherwiseMs: number): number =>
    Math.max(0, refer.int(name, otherwiseMs / 1000)) * 1000;
  return {
    lossPercent: Math.max(0, refer.int('discoveryHoldLoss', agent.lossPercent)),
    holdMs: seconds('discoveryHoldTime', agent.holdMs),
    silenceMs: Math.max(1000, seconds('discoveryHoldSilence', agent.silenceMs)),
  };
}
