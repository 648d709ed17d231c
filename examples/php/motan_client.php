<?php
// Calls a method with one string argument through the agent: motan_client.php PORT SERVICE METHOD TEXT
[, $port, $service, $method, $text] = $argv;

function read($connection, int $size): string {
    $bytes = '';
    while (strlen($bytes) < $size) {
        $piece = fread($connection, $size - strlen($bytes));
        if ($piece === false || $piece === '') throw new RuntimeException('the connection ended, or no answer in 5 s');
        $bytes .= $piece;
    }
    return $bytes;
}

$connection = stream_socket_client("tcp://127.0.0.1:$port", $code, $message, 5) or exit("$message\n");
stream_set_timeout($connection, 5);
$metadata = implode("\n", ['M_p', $service, 'M_m', $method]);
$body = "\x01" . pack('N', strlen($text)) . $text; // simple: tag 1 is a string
fwrite($connection, pack('nCCCJN', 0xF1F1, 0, 0x08, 0x30, 1, strlen($metadata)) . $metadata . pack('N', strlen($body)) . $body);

$head = unpack('nmagic/Ctype/Cstatus/Cserialization/Jid/Nsize', read($connection, 17));
$pairs = $head['size'] > 0 ? explode("\n", read($connection, $head['size'])) : [];
$size = unpack('N', read($connection, 4))[1];
$body = $size > 0 ? read($connection, $size) : '';
if ($head['status'] & 7) {
    fwrite(STDERR, $pairs[array_search('M_e', $pairs) + 1] . "\n");
    exit(1);
}
echo substr($body, 5), "\n"; // the answer is a string, too
