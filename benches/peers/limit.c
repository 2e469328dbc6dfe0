/* The limit: what a FastCGI hello costs when nobody looks at it. A plain epoll loop that finds the end of each request
 * by walking the heads of the records and writes fixed bytes; no variable and no header is parsed. The listening socket
 * is fd 0. Connections keep their buffer in a list when they end, so nothing is allocated once it runs. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEAD = 8, BUFFER = 16384, EVENTS = 64, AT_ONCE = 64 };
enum { BEGIN_REQUEST = 1, END_REQUEST = 3, STDIN = 5, STDOUT = 6 };
enum { KEEP_CONN = 1 };

static const char HELLO[] = "Status: 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 13\r\n\r\nhello, world\n";
/* STDOUT with the answer, the empty STDOUT that ends it, END_REQUEST. */
enum { ANSWER = HEAD + sizeof HELLO - 1 + HEAD + HEAD + 8 };

struct connection {
    struct connection *next;
    int fd;
    int keep;
    unsigned have; /* bytes of `in` that are filled */
    unsigned char in[BUFFER];
};

static struct connection *unused;
static int epoll;
static unsigned char answers[AT_ONCE * ANSWER];

static void record_head(unsigned char *at, unsigned char type, unsigned length) {
    memcpy(at, (unsigned char[HEAD]){1, type, 0, 0, length >> 8, length, 0, 0}, HEAD);
}

/* Every answer is ready but for its three ids. */
static void prepare_answers(void) {
    for (unsigned char *at = answers; at < answers + sizeof answers; at += ANSWER) {
        memset(at, 0, ANSWER);
        record_head(at, STDOUT, sizeof HELLO - 1);
        memcpy(at + HEAD, HELLO, sizeof HELLO - 1);
        record_head(at + HEAD + sizeof HELLO - 1, STDOUT, 0);
        record_head(at + HEAD + sizeof HELLO - 1 + HEAD, END_REQUEST, 8);
    }
}

static void put_id(unsigned char *answer, const unsigned char *id) {
    memcpy(answer + 2, id, 2);
    memcpy(answer + HEAD + sizeof HELLO - 1 + 2, id, 2);
    memcpy(answer + HEAD + sizeof HELLO - 1 + HEAD + 2, id, 2);
}

static void end(struct connection *c) {
    close(c->fd);
    c->next = unused;
    unused = c;
}

/* Walks the records that came and answers each request that is complete. False when the connection is over. */
static int answer(struct connection *c) {
    unsigned at = 0, done = 0;
    while (c->have - at >= HEAD) {
        const unsigned char *record = c->in + at;
        unsigned length = record[4] << 8 | record[5], whole = HEAD + length + record[6];
        if (c->have - at < whole)
            break;
        if (record[1] == BEGIN_REQUEST)
            c->keep = record[HEAD + 2] & KEEP_CONN;
        if (record[1] == STDIN && length == 0) {
            if (done == AT_ONCE)
                return 0;
            put_id(answers + done++ * ANSWER, record + 2);
        }
        at += whole;
    }
    /* A request larger than the buffer is none that this program is asked. */
    if (at == 0 && c->have == BUFFER)
        return 0;
    c->have -= at;
    if (c->have)
        memmove(c->in, c->in + at, c->have);
    if (done && write(c->fd, answers, done * ANSWER) != (ssize_t)(done * ANSWER))
        return 0;
    return !done || c->keep;
}

static void readable(struct connection *c, int hung_up) {
    for (;;) {
        size_t room = BUFFER - c->have;
        ssize_t got = read(c->fd, c->in + c->have, room);
        if (got <= 0) {
            if (got == 0 || (errno != EAGAIN && errno != EINTR))
                end(c);
            return;
        }
        c->have += got;
        if (!answer(c)) {
            end(c);
            return;
        }
        /* Less than asked for: there is no more, and epoll tells when there is. It tells of a hang-up only once. */
        if ((size_t)got < room && !hung_up)
            return;
    }
}

static void accept_all(void) {
    int fd;
    while ((fd = accept4(0, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct connection *c = unused;
        if (c)
            unused = c->next;
        else if (!(c = malloc(sizeof *c)))
            _exit(1);
        c->fd = fd;
        c->have = 0;
        c->keep = 0;
        struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.ptr = c};
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
            _exit(1);
        /* The request is mostly there already. */
        readable(c, 0);
    }
}

int main(void) {
    struct epoll_event events[EVENTS], listener = {.events = EPOLLIN};
    prepare_answers();
    epoll = epoll_create1(EPOLL_CLOEXEC);
    /* fd 0 blocks as it is handed over. */
    if (fcntl(0, F_SETFL, fcntl(0, F_GETFL) | O_NONBLOCK) < 0 || epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, 0, &listener) < 0)
        return 1;
    for (;;) {
        int count = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < count; i++)
            if (events[i].data.ptr)
                readable(events[i].data.ptr, events[i].events & (EPOLLRDHUP | EPOLLHUP));
            else
                accept_all();
    }
}
