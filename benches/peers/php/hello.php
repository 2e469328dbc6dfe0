<?php
// The hello of all peers in PHP.
header("Content-Type: text/plain; charset=utf-8");
echo "hello, world\n";
