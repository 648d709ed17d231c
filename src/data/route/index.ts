export { type DomainParts, DomainTable } from './domain-table.js';
export { type Exported, ExportTable } from './export-table.js';
export { LocationTable } from './locations.js';
export { type Routable, RouteTable } from './route-table.js';
