<?php
// A page as PHP applications have them: it reads its parameters and answers JSON. It knows nothing of a mesh, but shows what an agent tells it.
//
//   name    whom to greet           status  HTTP status to answer with           ms  how long to take, at most 10,000
header('Content-Type: application/json; charset=utf-8');
$parameters = $_POST + $_GET;
if (isset($parameters['status'])) http_response_code(max(200, min(599, (int) $parameters['status'])));
if (isset($parameters['ms'])) usleep(1000 * max(0, min(10_000, (int) $parameters['ms'])));

$facts = array_filter($_SERVER, fn ($name) => preg_match('/^(MOTAN|HTTP|SCRIPT|CONTENT|REMOTE)_|^(REQUEST_METHOD|REQUEST_URI|QUERY_STRING)$/', $name), ARRAY_FILTER_USE_KEY);
ksort($facts);
echo json_encode([
    'greeting' => 'Hello, ' . (is_string($parameters['name'] ?? null) ? $parameters['name'] : 'nobody') . '!',
    'child' => getmypid(),
    'get' => $_GET,
    'post' => $_POST,
    'bodyBytes' => strlen(file_get_contents('php://input')),
    'facts' => $facts,
], JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE | JSON_INVALID_UTF8_SUBSTITUTE), "\n";
