/* Preloaded into the server by the power-cut test: notes for every file how far it was synced.
 *
 * A line is "<offset>\t<path>\n". The offset is taken before the sync starts, so what lies below it
 * is on the disk when the line is written; what lies above it may be lost with the power. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void record(int fd, off_t offset) {
    char link[64], path[4096], line[4200];
    const char *target = getenv("SYNC_RECORD");
    if (target == NULL || offset < 0) return;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return;
    path[length] = '\0';
    int bytes = snprintf(line, sizeof line, "%lld\t%s\n", (long long)offset, path);
    int log = open(target, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (log < 0) return;
    if (write(log, line, (size_t)bytes) != bytes) abort();
    close(log);
}

static int synced(const char *name, int fd) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    off_t offset = lseek(fd, 0, SEEK_CUR);
    int result = real(fd);
    if (result == 0) record(fd, offset);
    return result;
}

int fdatasync(int fd) { return synced("fdatasync", fd); }

int fsync(int fd) { return synced("fsync", fd); }
