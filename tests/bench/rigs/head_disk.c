/* A disk with one head, as an nbdkit plugin: a file whose requests take as long as they would on a hard disk.
 *
 *   nbdkit ./head_disk.so file=FILE [stats=FILE] [settle=US] [stroke=US] [half_turn=US] [rate=BYTES] [free_jump=BYTES]
 *                            [gather=US]
 *
 *   file       holds the data; its size is the disk's
 *   stats      counters, one JSON line, up to date after each request; they also go to standard error at the end
 *   settle     microseconds that every seek takes (5000)
 *   stroke     microseconds of a seek across the whole disk, without settle; a shorter seek takes the square root of
 *              its share (8000)
 *   half_turn  microseconds until the sector passes after a seek (4167: 7200 turns per minute)
 *   rate       bytes per second that pass under the head (150000000)
 *   free_jump  a jump ahead by less than this is not a seek: the head waits while the skipped bytes pass (1048576)
 *   gather     microseconds for which the head waits for a request that continues where the last one ended, before it
 *              leaves (2000): split requests arrive from the kernel in any order. Part of the seek time.
 *
 * One request is served at a time. The next is the waiting one with the lowest offset at or after the head, or else the
 * lowest of all (C-LOOK). There is no cache: an answered write is in the file, and a flush, or FUA,
 * syncs that. */

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

static char* file_name;
static char* stats_name;
static uint32_t settle_us = 5000;
static uint32_t stroke_us = 8000;
static uint32_t half_turn_us = 4167;
static uint32_t gather_us = 2000;
static int64_t rate = 150000000;
static int64_t free_jump = 1 << 20;

static int file = -1;
static int stats = -1;
static int64_t size;

struct request {
    uint64_t offset;
    int64_t arrived; /* nanoseconds, like all times here */
    pthread_cond_t turn;
    bool chooses; /* its thread must choose the next one */
    bool served;  /* it is its turn */
    struct request* next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* All below is guarded by lock; head and free_at belong to the request being served. */
static struct request* waiting; /* in the order of their offsets */
static bool busy;               /* one is served, or chosen */
static uint64_t head;
static int64_t free_at; /* the end of the last served request, by the model */
static struct { uint64_t reads, writes, flushes, read_bytes, write_bytes, seeks, skips, skipped_bytes, busy_ns; } count;

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void sleep_until(int64_t when) {
    struct timespec const t = {.tv_sec = when / 1000000000, .tv_nsec = when % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR) {
    }
}

/* Of fixed width, so that a shorter line overwrites the previous one completely. */
static int format_counters(char* line, size_t room) {
    return snprintf(line, room,
                    "{\"reads\": %20" PRIu64 ", \"writes\": %20" PRIu64 ", \"flushes\": %20" PRIu64
                    ", \"read_bytes\": %20" PRIu64 ", \"write_bytes\": %20" PRIu64 ", \"seeks\": %20" PRIu64
                    ", \"skips\": %20" PRIu64 ", \"skipped_bytes\": %20" PRIu64 ", \"busy_ms\": %20" PRIu64 "}\n",
                    count.reads, count.writes, count.flushes, count.read_bytes, count.write_bytes, count.seeks,
                    count.skips, count.skipped_bytes, count.busy_ns / 1000000);
}

static void publish_counters(void) {
    char line[512];
    int const length = format_counters(line, sizeof line);
    if (stats >= 0 && pwrite(stats, line, (size_t)length, 0) != length) {
        nbdkit_debug("%s: %m", stats_name);
    }
}

static bool is_near(uint64_t to) {
    return to >= head && to - head < (uint64_t)free_jump;
}

/* The time that the head needs to reach an offset; with lock. */
static int64_t travel(uint64_t to) {
    double const distance = to > head ? (double)(to - head) : (double)(head - to);
    return (int64_t)(is_near(to) ? distance * 1e9 / (double)rate
                                 : 1e3 * (settle_us + half_turn_us + stroke_us * sqrt(distance / (double)size)));
}

/* The next request by C-LOOK, of at least one that waits; with lock. */
static struct request** next_in_order(void) {
    struct request** at = &waiting;
    while (*at != NULL && (*at)->offset < head) {
        at = &(*at)->next;
    }
    return *at != NULL ? at : &waiting;
}

/* Hands the head to the next request; with lock, which is released meanwhile. */
static void choose(void) {
    int64_t const began = now();
    struct request** at = next_in_order();
    for (;;) {
        int64_t const far = travel((*at)->offset);
        int64_t const gather = gather_us * INT64_C(1000);
        if (now() - began >= (far < gather ? far : gather)) {
            break;
        }
        pthread_mutex_unlock(&lock);
        sleep_until(now() + 100000);
        pthread_mutex_lock(&lock);
        at = next_in_order();
    }
    struct request* const chosen = *at;
    *at = chosen->next;
    chosen->served = true;
    pthread_cond_signal(&chosen->turn);
}

/* Waits for the head. */
static void begin(struct request* self, uint64_t offset) {
    self->offset = offset;
    self->arrived = now();
    self->served = false;
    pthread_cond_init(&self->turn, NULL);
    pthread_mutex_lock(&lock);
    struct request** at = &waiting;
    while (*at != NULL && (*at)->offset <= offset) {
        at = &(*at)->next;
    }
    self->next = *at;
    *at = self;
    self->chooses = !busy;
    busy = true;
    while (!self->served) {
        if (self->chooses) {
            self->chooses = false;
            choose();
        } else {
            pthread_cond_wait(&self->turn, &lock);
        }
    }
    pthread_mutex_unlock(&lock);
    pthread_cond_destroy(&self->turn);
}

/* Keeps the head for the time of the transfer, and hands it on. The time counts from when the disk was free, not
 * from when this thread ran, so that a busy machine does not make the disk slow. */
static void end(struct request const* self, uint32_t bytes, uint64_t* requests, uint64_t* transferred) {
    pthread_mutex_lock(&lock);
    int64_t const start = self->arrived > free_at ? self->arrived : free_at;
    int64_t const takes = travel(self->offset) + (int64_t)(bytes * 1e9 / (double)rate);
    if (!is_near(self->offset)) {
        ++count.seeks;
    } else if (self->offset > head) {
        ++count.skips;
        count.skipped_bytes += self->offset - head;
    }
    free_at = start + takes;
    head = self->offset + bytes;
    pthread_mutex_unlock(&lock);
    sleep_until(free_at);
    pthread_mutex_lock(&lock);
    ++*requests;
    *transferred += bytes;
    count.busy_ns += (uint64_t)takes;
    publish_counters();
    if (waiting == NULL) {
        busy = false;
    } else {
        waiting->chooses = true;
        pthread_cond_signal(&waiting->turn);
    }
    pthread_mutex_unlock(&lock);
}

/* Returns an error from a call: reports its errno to the client. */
static int failed(char const* what) {
    int const code = errno;
    nbdkit_error("%s: %s: %m", what, file_name);
    nbdkit_set_error(code);
    return -1;
}

static int sync_file(void) {
    return fdatasync(file) == 0 ? 0 : failed("fdatasync");
}

static int head_disk_pread(void* handle, void* data, uint32_t length, uint64_t offset, uint32_t flags) {
    (void)handle, (void)flags;
    int result = 0;
    struct request self;
    begin(&self, offset);
    for (uint32_t done = 0; done < length && result == 0;) {
        ssize_t const n = pread(file, (char*)data + done, length - done, (off_t)(offset + done));
        if (n > 0) {
            done += (uint32_t)n;
        } else if (n == 0) {
            errno = EIO; /* the file has become shorter */
            result = failed("read");
        } else if (errno != EINTR) {
            result = failed("read");
        }
    }
    end(&self, length, &count.reads, &count.read_bytes);
    return result;
}

static int head_disk_pwrite(void* handle, void const* data, uint32_t length, uint64_t offset, uint32_t flags) {
    (void)handle;
    int result = 0;
    struct request self;
    begin(&self, offset);
    for (uint32_t done = 0; done < length && result == 0;) {
        ssize_t const n = pwrite(file, (char const*)data + done, length - done, (off_t)(offset + done));
        if (n > 0) {
            done += (uint32_t)n;
        } else if (n == 0) {
            errno = ENOSPC;
            result = failed("write");
        } else if (errno != EINTR) {
            result = failed("write");
        }
    }
    if (result == 0 && (flags & NBDKIT_FLAG_FUA) != 0) {
        result = sync_file();
    }
    end(&self, length, &count.writes, &count.write_bytes);
    return result;
}

/* Answered writes are in the file: no wait is needed. */
static int head_disk_flush(void* handle, uint32_t flags) {
    (void)handle, (void)flags;
    int const result = sync_file();
    pthread_mutex_lock(&lock);
    ++count.flushes;
    publish_counters();
    pthread_mutex_unlock(&lock);
    return result;
}

static int head_disk_config(char const* key, char const* value) {
    if (strcmp(key, "file") == 0) {
        free(file_name);
        return (file_name = nbdkit_realpath(value)) == NULL ? -1 : 0;
    }
    if (strcmp(key, "stats") == 0) {
        free(stats_name);
        return (stats_name = nbdkit_absolute_path(value)) == NULL ? -1 : 0;
    }
    if (strcmp(key, "settle") == 0) {
        return nbdkit_parse_uint32_t(key, value, &settle_us);
    }
    if (strcmp(key, "stroke") == 0) {
        return nbdkit_parse_uint32_t(key, value, &stroke_us);
    }
    if (strcmp(key, "half_turn") == 0) {
        return nbdkit_parse_uint32_t(key, value, &half_turn_us);
    }
    if (strcmp(key, "gather") == 0) {
        return nbdkit_parse_uint32_t(key, value, &gather_us);
    }
    if (strcmp(key, "rate") == 0) {
        return (rate = nbdkit_parse_size(value)) < 0 ? -1 : 0;
    }
    if (strcmp(key, "free_jump") == 0) {
        return (free_jump = nbdkit_parse_size(value)) < 0 ? -1 : 0;
    }
    nbdkit_error("unknown parameter: %s", key);
    return -1;
}

static int head_disk_config_complete(void) {
    if (file_name == NULL) {
        nbdkit_error("file=FILE is missing");
        return -1;
    }
    if (rate == 0) {
        nbdkit_error("rate must not be 0");
        return -1;
    }
    return 0;
}

static int head_disk_get_ready(void) {
    struct stat st;
    file = open(file_name, O_RDWR | O_CLOEXEC);
    if (file < 0 || fstat(file, &st) != 0) {
        return failed("open");
    }
    size = st.st_size;
    if (!S_ISREG(st.st_mode) || size == 0) {
        nbdkit_error("%s: not a regular file with something in it", file_name);
        return -1;
    }
    if (stats_name != NULL && (stats = open(stats_name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)) < 0) {
        nbdkit_error("%s: %m", stats_name);
        return -1;
    }
    return 0;
}

static void head_disk_unload(void) {
    char line[512];
    if (file >= 0) {
        format_counters(line, sizeof line);
        fprintf(stderr, "head_disk: %s", line);
        close(file);
    }
    if (stats >= 0) {
        close(stats);
    }
    free(file_name);
    free(stats_name);
}

static void* head_disk_open(int readonly) {
    (void)readonly;
    return NBDKIT_HANDLE_NOT_NEEDED;
}

static int64_t head_disk_get_size(void* handle) {
    (void)handle;
    return size;
}

static int yes(void* handle) {
    (void)handle;
    return 1;
}

static int fua_is_native(void* handle) {
    (void)handle;
    return NBDKIT_FUA_NATIVE;
}

static struct nbdkit_plugin plugin = {
    .name = "head-disk",
    .longname = "a disk with one head",
    .description = "A file whose requests take as long as they would on a hard disk.",
    .config = head_disk_config,
    .config_complete = head_disk_config_complete,
    .config_help = "file=FILE [stats=FILE] [settle=US] [stroke=US] [half_turn=US] [rate=BYTES] [free_jump=BYTES] "
                   "[gather=US]",
    .magic_config_key = "file",
    .get_ready = head_disk_get_ready,
    .unload = head_disk_unload,
    .open = head_disk_open,
    .get_size = head_disk_get_size,
    .is_rotational = yes,
    .can_multi_conn = yes,
    .can_flush = yes,
    .can_fua = fua_is_native,
    .pread = head_disk_pread,
    .pwrite = head_disk_pwrite,
    .flush = head_disk_flush,
};

NBDKIT_REGISTER_PLUGIN(plugin)
