export { type Routable, RouteTable } from './route-table.js';
