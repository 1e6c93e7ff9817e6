/* A disk that fails: loaded before the C library, it stands between a program and the calls that reach files whose path
   begins with SMPPOST_FAULT_PREFIX. The calls of one kind are counted over all threads; from the AT-th on, TIMES of them
   fail with ERRNO, or kill the process. With ROOM, those files may hold so many octets together, and no more. With CLOCK,
   the time of day is off by as many seconds as that file says. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const char *prefix, *kind, *told, *off;
static long at, times, error, room = -1;
static atomic_long count, fired;

static long number(const char *name, long otherwise) {
    const char *text = getenv(name);
    return text ? atol(text) : otherwise;
}

__attribute__((constructor)) static void begin(void) {
    prefix = getenv("SMPPOST_FAULT_PREFIX");
    kind = getenv("SMPPOST_FAULT_CALL");
    told = getenv("SMPPOST_FAULT_TOLD");
    off = getenv("SMPPOST_FAULT_CLOCK");
    at = number("SMPPOST_FAULT_AT", 0);
    times = number("SMPPOST_FAULT_TIMES", 1);
    error = number("SMPPOST_FAULT_ERRNO", EIO);
    room = number("SMPPOST_FAULT_ROOM", -1);
    unsetenv("LD_PRELOAD");
}

static void tell(const char *words, const char *path, long n) {
    char line[4400];
    int length = snprintf(line, sizeof line, "%s %ld %s\n", words, n, path);
    int file = told ? (int)syscall(SYS_openat, AT_FDCWD, told, O_WRONLY | O_CREAT | O_APPEND, 0600) : -1;
    if (file < 0) return;
    syscall(SYS_write, file, line, (size_t)length);
    syscall(SYS_close, file);
}

__attribute__((destructor)) static void end(void) {
    if (prefix && kind) tell("counted", kind, atomic_load(&count));
}

static int is_ours(const char *path) { return prefix && strncmp(path, prefix, strlen(prefix)) == 0; }

/* Whether this call is to fail. */
static int fails(const char *call, const char *path) {
    if (!kind || strcmp(call, kind) != 0 || !is_ours(path)) return 0;
    long n = atomic_fetch_add(&count, 1) + 1;
    if (at == 0 || n < at || n >= at + times) return 0;
    if (atomic_fetch_add(&fired, 1) == 0) tell("fired", path, n);
    if (error == 0) kill(getpid(), SIGKILL);
    errno = (int)error;
    return 1;
}

static int path_of(int fd, char *path, size_t size) {
    char name[64];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(name, path, size - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return 1;
}

static int fails_fd(const char *call, int fd) {
    char path[4096];
    if (!prefix) return 0;
    int before = errno;
    int ours = path_of(fd, path, sizeof path);
    errno = before;
    return ours && fails(call, path);
}

/* Whether there is no room for `fd` to reach `end`. */
static int is_full(int fd, long end) {
    char path[4096], folder[4096], other[8300];
    struct stat meta;
    if (room < 0 || !path_of(fd, path, sizeof path) || !is_ours(path)) return 0;
    if (fstat(fd, &meta) != 0 || end <= meta.st_size) return 0;
    long sum = end - meta.st_size;
    strcpy(folder, path);
    *strrchr(folder, '/') = 0;
    DIR *entries = opendir(folder);
    for (struct dirent *entry; entries && (entry = readdir(entries));) {
        snprintf(other, sizeof other, "%s/%s", folder, entry->d_name);
        if (is_ours(other) && stat(other, &meta) == 0) sum += meta.st_size;
    }
    if (entries) closedir(entries);
    if (sum <= room) return 0;
    if (atomic_fetch_add(&fired, 1) == 0) tell("fired", path, sum);
    errno = ENOSPC;
    return 1;
}

#define REAL(name) __typeof__(&name) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

#define PWRITE(name)                                                                          \
    ssize_t name(int fd, const void *octets, size_t length, off_t offset) {                   \
        REAL(name);                                                                           \
        if (fails_fd("write", fd) || is_full(fd, (long)offset + (long)length)) return -1;     \
        return real(fd, octets, length, offset);                                              \
    }
PWRITE(pwrite)
PWRITE(pwrite64)

ssize_t write(int fd, const void *octets, size_t length) {
    REAL(write);
    if (fails_fd("write", fd)) return -1;
    if (room >= 0) {
        off_t offset = lseek(fd, 0, SEEK_CUR);
        if (offset >= 0 && is_full(fd, (long)offset + (long)length)) return -1;
    }
    return real(fd, octets, length);
}

#define PREAD(name)                                                                           \
    ssize_t name(int fd, void *octets, size_t length, off_t offset) {                         \
        REAL(name);                                                                           \
        return fails_fd("read", fd) ? -1 : real(fd, octets, length, offset);                  \
    }
PREAD(pread)
PREAD(pread64)

#define SYNC(name)                                                                            \
    int name(int fd) {                                                                        \
        REAL(name);                                                                           \
        return fails_fd("sync", fd) ? -1 : real(fd);                                          \
    }
SYNC(fsync)
SYNC(fdatasync)

#define TRUNCATE(name)                                                                        \
    int name(int fd, off_t length) {                                                          \
        REAL(name);                                                                           \
        return fails_fd("truncate", fd) || is_full(fd, (long)length) ? -1 : real(fd, length); \
    }
TRUNCATE(ftruncate)
TRUNCATE(ftruncate64)

#define OPEN(name)                                                                            \
    int name(const char *path, int flags, ...) {                                              \
        REAL(name);                                                                           \
        va_list more;                                                                         \
        va_start(more, flags);                                                                \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;               \
        va_end(more);                                                                         \
        return fails("open", path) ? -1 : real(path, flags, mode);                            \
    }
OPEN(open)
OPEN(open64)

int unlink(const char *path) {
    REAL(unlink);
    return fails("unlink", path) ? -1 : real(path);
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    REAL(clock_gettime);
    int outcome = real(clock, time);
    if (off && clock == CLOCK_REALTIME && outcome == 0) {
        char seconds[32] = "0";
        int file = (int)syscall(SYS_openat, AT_FDCWD, off, O_RDONLY);
        ssize_t length = file < 0 ? 0 : syscall(SYS_read, file, seconds, sizeof seconds - 1);
        if (file >= 0) syscall(SYS_close, file);
        seconds[length > 0 ? length : 0] = 0;
        time->tv_sec += atol(seconds);
    }
    return outcome;
}
