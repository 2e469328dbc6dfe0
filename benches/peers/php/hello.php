<?php
// The hello for PHP-FPM.
header('Content-Type: text/plain; charset=utf-8');
header('Content-Length: 13');
echo "hello, world\n";
