/* What musl's malloc needs of the rest of musl, made of glibc, so that it works in a program that is otherwise linked against glibc. */
#define _GNU_SOURCE
#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>

/*
 * The beginning of what musl knows about its process. Its malloc reads two of the fields: whether there are threads to
 * lock out, of which the programs here have none, and where the kernel's auxiliary vector is, which an empty one stands
 * for.
 */
static size_t nothing[2];
struct {
    char can_do_threads, threaded, secure;
    signed char need_locks;
    int threads_minus_1;
    size_t *auxv;
} __libc = { .auxv = nothing };

int *___errno_location(void)
{
    return &errno;
}

void *__mmap(void *start, size_t length, int protection, int flags, int file, off_t offset)
{
    return mmap(start, length, protection, flags, file, offset);
}

void *__mremap(void *start, size_t length, size_t new_length, int flags)
{
    return mremap(start, length, new_length, flags);
}

int __madvise(void *start, size_t length, int advice)
{
    return madvise(start, length, advice);
}
