/* The least that a CGI program can do: it prints what the others print and ends. Nothing of the request is looked at. */
#include <unistd.h>

int main(void)
{
    static const char answer[] = "Status: 200 OK\r\n"
                                 "Content-Type: text/plain; charset=utf-8\r\n"
                                 "Content-Length: 13\r\n"
                                 "\r\n"
                                 "hello, world\n";
    return write(STDOUT_FILENO, answer, sizeof answer - 1) != (ssize_t)(sizeof answer - 1);
}
