export { ConnectTunnels } from './connect-tunnels.js';
export { DirectProxy } from './direct-proxy.js';
export { HttpProxy, type HttpProxyDeps, type HttpProxySettings } from './http-proxy.js';
export { OutboundUpstreams } from './outbound-upstreams.js';
