//! `fastcgi`: a FastCGI server such as PHP-FPM.
