/*
 * The limit for bodies: what is left when a server only moves the bytes.
 *
 * A FastCGI responder on descriptor 0, one connection at a time and one request on each, which looks at record heads and
 * never at what they hold. A request whose variables name "/big?n=N" is answered with N bytes, any other with nothing once its body has
 * ended. One read per 64 KiB up, one writev per three records down, which fill three pieces of a Unix socket.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { HEAD = 8, LARGEST = 65528, PIECE = 36480 - HEAD, AT_ONCE = 3, ROOM = 64 * 1024, END_REQUEST = 3, PARAMS = 4, STDIN = 5, STDOUT = 6 };

static char input[ROOM];
static char filler[PIECE];
static size_t from, to;

/* What is there next, at least one byte and at most `most`. Nothing at the end of the connection. */
static size_t next(int fd, char **bytes, size_t most)
{
    if (from == to) {
        ssize_t got = read(fd, input, sizeof input);
        if (got <= 0)
            return 0;
        from = 0;
        to = (size_t)got;
    }
    size_t length = to - from < most ? to - from : most;
    *bytes = input + from;
    from += length;
    return length;
}

/* Takes `length` bytes, and keeps as many of them as there is room for. */
static int take(int fd, size_t length, char *kept, size_t room)
{
    char *bytes;
    while (length > 0) {
        size_t got = next(fd, &bytes, length);
        if (got == 0)
            return 0;
        size_t copied = got < room ? got : room;
        memcpy(kept, bytes, copied);
        kept += copied;
        room -= copied;
        length -= got;
    }
    return 1;
}

static int send_all(int fd, struct iovec *parts, int count)
{
    while (count > 0) {
        ssize_t sent = writev(fd, parts, count);
        if (sent < 0)
            return 0;
        for (; count > 0 && (size_t)sent >= parts->iov_len; parts++, count--)
            sent -= (ssize_t)parts->iov_len;
        if (count > 0) {
            parts->iov_base = (char *)parts->iov_base + sent;
            parts->iov_len -= (size_t)sent;
        }
    }
    return 1;
}

static void record_head(char *head, char type, size_t length)
{
    memcpy(head, (char[HEAD]){ 1, type, 0, 1, (char)(length >> 8), (char)length, 0, 0 }, HEAD);
}

static int record(int fd, char type, const char *content, size_t length)
{
    char head[HEAD];
    struct iovec parts[2] = { { head, HEAD }, { (char *)content, length } };
    record_head(head, type, length);
    return send_all(fd, parts, 2);
}

static void answer(int fd, unsigned long long length)
{
    static const char header[] = "Status: 200 OK\r\nContent-Type: text/plain\r\n\r\n";
    static const char ended[HEAD];
    if (!record(fd, STDOUT, header, sizeof header - 1))
        return;
    while (length > 0) {
        char heads[AT_ONCE][HEAD];
        struct iovec parts[2 * AT_ONCE];
        int count = 0;
        for (; count < 2 * AT_ONCE && length > 0; count += 2) {
            size_t size = length < PIECE ? (size_t)length : PIECE;
            record_head(heads[count / 2], STDOUT, size);
            parts[count] = (struct iovec){ heads[count / 2], HEAD };
            parts[count + 1] = (struct iovec){ filler, size };
            length -= size;
        }
        if (!send_all(fd, parts, count))
            return;
    }
    if (record(fd, STDOUT, "", 0))
        record(fd, END_REQUEST, ended, sizeof ended);
}

static void serve(int fd)
{
    static char params[LARGEST + 1];
    unsigned char head[HEAD];
    unsigned long long wanted = 0;
    from = to = 0;
    while (take(fd, HEAD, (char *)head, HEAD)) {
        size_t length = (size_t)head[4] << 8 | head[5], padding = head[6];
        if (head[1] == PARAMS && length > 0) {
            if (!take(fd, length, params, LARGEST))
                return;
            params[length < LARGEST ? length : LARGEST] = '\0';
            const char *big = memmem(params, length, "/big?n=", 7);
            wanted = big ? strtoull(big + 7, NULL, 10) : 0;
            length = 0;
        }
        if (!take(fd, length + padding, NULL, 0))
            return;
        if (head[1] == STDIN && head[4] == 0 && head[5] == 0) {
            answer(fd, wanted);
            return;
        }
    }
}

int main(void)
{
    memset(filler, 'x', sizeof filler);
    for (;;) {
        int fd = accept(0, NULL, NULL);
        if (fd < 0)
            return 1;
        serve(fd);
        close(fd);
    }
}
