/* The hello with libfcgi, the C library that comes with the protocol's specification. The listening socket is fd 0.
 * A process serves one connection at a time, so for kept ones it is started as `spawn-fcgi -F` starts it: the first
 * argument is the number of processes. */
#include <fcgiapp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static const char HELLO[] = "Content-Type: text/plain; charset=utf-8\r\nContent-Length: 13\r\n\r\nhello, world\n";
static const char MISSING[] = "Status: 404 Not Found\r\nContent-Length: 0\r\n\r\n";

int main(int argc, char **argv) {
    int others = argc > 1 ? atoi(argv[1]) - 1 : 0;
    FCGX_Request request;

    while (others-- > 0) {
        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            break;
        }
    }
    if (FCGX_Init() || FCGX_InitRequest(&request, 0, 0))
        return 1;
    while (FCGX_Accept_r(&request) >= 0) {
        const char *uri = FCGX_GetParam("REQUEST_URI", request.envp);
        if (uri && strcmp(uri, "/hello") == 0)
            FCGX_PutStr(HELLO, sizeof HELLO - 1, request.out);
        else
            FCGX_PutStr(MISSING, sizeof MISSING - 1, request.out);
    }
    return 0;
}
