#!/bin/sh
# Calls a method through the agent's HTTP port: http_client.sh PORT SERVICE METHOD ARGUMENTS [GROUP]. Arguments: a JSON array.
# The value goes to standard output, the problem document of a call that failed (RFC 9457) to standard error. Needs curl 7.76.
set -u
answer=$(
  printf '%s' "$4" | curl --silent --show-error --fail-with-body --noproxy '*' --max-time 5 \
    --header 'Content-Type: application/json' --data-binary @- \
    "http://127.0.0.1:$1/v1/call/$2/$3${5:+?group=$5}"
) || {
  [ -z "$answer" ] || printf '%s\n' "$answer" >&2
  exit 1
}
printf '%s\n' "$answer"
