/* Two routes for large bodies, written with libfcgi the way its manual shows: "/early" reads the body and tells its length, "/big?n=N" sends N bytes. */
#include <fcgiapp.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 32 * 1024 };

static char chunk[CHUNK];

static void big(FCGX_Request *request, unsigned long long left)
{
    memset(chunk, 'x', sizeof chunk);
    FCGX_FPrintF(request->out, "Status: 200 OK\r\nContent-Type: text/plain\r\n\r\n");
    while (left > 0) {
        int size = left < CHUNK ? (int)left : CHUNK;
        if (FCGX_PutStr(chunk, size, request->out) != size)
            return;
        left -= (unsigned long long)size;
    }
}

static void early(FCGX_Request *request)
{
    unsigned long long length = 0;
    int got;
    while ((got = FCGX_GetStr(chunk, sizeof chunk, request->in)) > 0)
        length += (unsigned long long)got;
    FCGX_FPrintF(request->out, "Status: 200 OK\r\nContent-Type: text/plain\r\n\r\n%llu\n", length);
}

int main(void)
{
    FCGX_Request request;
    FCGX_Init();
    FCGX_InitRequest(&request, 0, 0);
    while (FCGX_Accept_r(&request) == 0) {
        const char *uri = FCGX_GetParam("REQUEST_URI", request.envp);
        if (uri && strncmp(uri, "/big?n=", 7) == 0)
            big(&request, strtoull(uri + 7, NULL, 10));
        else
            early(&request);
        FCGX_Finish_r(&request);
    }
    return 0;
}
