"""Calls a method through the agent's HTTP port: http_client.py PORT SERVICE METHOD ARGUMENTS [GROUP]. Arguments: a JSON array."""
import json, sys, urllib.error, urllib.parse, urllib.request

def call(port, service, method, arguments, group=""):
    path = "/".join(urllib.parse.quote(name, safe="") for name in (service, method))
    query = "?" + urllib.parse.urlencode({"group": group}) if group else ""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/call/{path}{query}",
        json.dumps(arguments).encode(),
        {"Content-Type": "application/json"},
    )
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # not by way of HTTP_PROXY
    try:
        with direct.open(request, timeout=5) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:  # a problem document, RFC 9457
        problem = json.load(error)
        raise RuntimeError(f"{problem['title']}: {problem.get('detail', '')}") from None

try:
    print(json.dumps(call(*sys.argv[1:4], json.loads(sys.argv[4]), *sys.argv[5:6]), ensure_ascii=False))
except (OSError, RuntimeError, ValueError) as error:
    sys.exit(f"{error}")
