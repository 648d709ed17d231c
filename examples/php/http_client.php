<?php
// Calls a method through the agent's HTTP port: http_client.php PORT SERVICE METHOD ARGUMENTS [GROUP]. Arguments: a JSON array.
function call(string $port, string $service, string $method, array $arguments, string $group = ''): mixed {
    $path = rawurlencode($service) . '/' . rawurlencode($method);
    $query = $group === '' ? '' : '?' . http_build_query(['group' => $group]);
    $flags = JSON_THROW_ON_ERROR | JSON_UNESCAPED_UNICODE | JSON_PRESERVE_ZERO_FRACTION;
    $answer = @file_get_contents("http://127.0.0.1:$port/v1/call/$path$query", false, stream_context_create(['http' => [
        'method' => 'POST',
        'header' => "Content-Type: application/json\r\nConnection: close",
        'content' => json_encode($arguments, $flags),
        'timeout' => 5,
        'ignore_errors' => true, // read the answer of a status of 400 and above, too
    ]]));
    if ($answer === false) throw new RuntimeException(error_get_last()['message']);
    $value = json_decode($answer, false, 512, $flags);
    if (str_contains($http_response_header[0], ' 200 ')) return $value;
    throw new RuntimeException("$value->title: " . ($value->detail ?? '')); // a problem document, RFC 9457
}

try {
    echo json_encode(call($argv[1], $argv[2], $argv[3], json_decode($argv[4], flags: JSON_THROW_ON_ERROR), $argv[5] ?? ''), JSON_UNESCAPED_UNICODE), "\n";
} catch (RuntimeException | JsonException $error) {
    fwrite(STDERR, $error->getMessage() . "\n");
    exit(1);
}
