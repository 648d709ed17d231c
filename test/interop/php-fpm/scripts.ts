/** Pages that the tests ask for. What they do stands in attachments, which reach them as `MOTAN_*`. */
export const SCRIPTS = {
  /** Everything that a script sees, as JSON; bytes that are no UTF-8 as latin1. */
  'echo.php': `<?php
    header('Content-Type: application/json');
    $input = file_get_contents('php://input');
    echo json_encode(['server' => $_SERVER, 'get' => $_GET, 'post' => $_POST, 'cookie' => $_COOKIE,
      'bytes' => strlen($input), 'md5' => md5($input), 'pid' => getmypid()], JSON_INVALID_UTF8_SUBSTITUTE);`,
  'sleep.php': `<?php
    $name = $_SERVER['MOTAN_name'] ?? '';
    if ($name !== '') file_put_contents(dirname(__DIR__) . "/run/$name", (string) getmypid());
    usleep(1000 * (int) ($_SERVER['MOTAN_ms'] ?? 0));
    if ($name !== '') file_put_contents(dirname(__DIR__) . "/run/$name.done", 'done');
    echo getmypid();`,
  'binary.php': `<?php
    header('Content-Type: application/octet-stream');
    $all = implode('', array_map('chr', range(0, 255)));
    for ($count = (int) $_SERVER['MOTAN_count']; $count > 0; $count -= 1) echo $all;`,
  'status.php': `<?php
    http_response_code((int) $_SERVER['MOTAN_code']);
    header('X-Page: yes');
    setcookie('a', '1'); setcookie('b', '2');
    echo 'page of ' . $_SERVER['MOTAN_code'];`,
  'fatal.php': `<?php echo 'begun'; nowhere();`,
  'stderr.php': `<?php error_log("something \\x1b[31m bad\\nin two lines"); trigger_error('a warning', E_USER_WARNING); echo 'fine';`,
  'redirect.php': `<?php header('Location: /elsewhere');`,
} as const;
