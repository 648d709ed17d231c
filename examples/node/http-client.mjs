/** Calls a method through the agent's HTTP port: http-client.mjs PORT SERVICE METHOD ARGUMENTS [GROUP]. Arguments: a JSON array. */
async function call(port, service, method, args, group = '') {
  const path = [service, method].map(encodeURIComponent).join('/');
  const query = group === '' ? '' : `?${new URLSearchParams({ group })}`;
  const answer = await fetch(`http://127.0.0.1:${port}/v1/call/${path}${query}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(args),
    signal: AbortSignal.timeout(5_000),
  });
  const value = await answer.json();
  if (answer.ok) return value;
  throw new Error(`${value.title}: ${value.detail ?? ''}`); // a problem document, RFC 9457
}

const [port, service, method, args, group] = process.argv.slice(2);
try {
  console.log(JSON.stringify(await call(port, service, method, JSON.parse(args), group)));
} catch (error) {
  console.error(error.cause?.message ?? error.message);
  process.exitCode = 1;
}
