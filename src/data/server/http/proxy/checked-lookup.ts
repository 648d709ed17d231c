/** Gives a dial the addresses that the policy let through, in place of a lookup of its own. */
import type { LookupFunction } from 'node:net';
import { parseIp } from '../../../../base/index.js';

/** @param addresses read at each connect */
export function checkedLookup(addresses: () => readonly string[]): LookupFunction {
  return (_host, options, done) => {
    const found = addresses().map((address) => ({
      address,
      family: parseIp(address)?.bits === 32 ? 4 : 6,
    }));
    if (options.all) done(null, found);
    else done(null, found[0]!.address, found[0]!.family);
  };
}
