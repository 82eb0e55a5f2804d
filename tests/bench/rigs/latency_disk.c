/* A disk that accepts any number of writes at once and delays each: a file under FUSE.
 *
 *   latency_disk FILE MICROSECONDS FOLDER [FUSE-OPTION]...     in the foreground; FOLDER/disk is the disk
 *
 * For delays shorter than the overhead of a network stack between the kernel and the disk (nbdkit).
 * Reads do not wait. Flushes sync FILE. */

#define FUSE_USE_VERSION 312
#include <fuse.h>

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int file = -1;
static off_t size;
static long wait_ns;

static void* disk_init(struct fuse_conn_info* connection, struct fuse_config* config) {
    connection->max_background = 128; /* with 12, a loop device could have only 12 requests in flight */
    connection->congestion_threshold = 128;
    config->direct_io = 1;
    return NULL;
}

static int disk_getattr(char const* path, struct stat* st, struct fuse_file_info* info) {
    (void)info;
    memset(st, 0, sizeof *st);
    if (strcmp(path, "/") == 0) {
        st->st_mode = S_IFDIR | 0755;
        st->st_nlink = 2;
    } else if (strcmp(path, "/disk") == 0) {
        st->st_mode = S_IFREG | 0600;
        st->st_nlink = 1;
        st->st_size = size;
    } else {
        return -ENOENT;
    }
    return 0;
}

static int disk_readdir(char const* path, void* buffer, fuse_fill_dir_t fill, off_t offset, struct fuse_file_info* info,
                        enum fuse_readdir_flags flags) {
    (void)path, (void)offset, (void)info, (void)flags;
    fill(buffer, "disk", NULL, 0, 0);
    return 0;
}

static int disk_open(char const* path, struct fuse_file_info* info) {
    (void)info;
    return strcmp(path, "/disk") == 0 ? 0 : -ENOENT;
}

static int disk_read(char const* path, char* data, size_t length, off_t offset, struct fuse_file_info* info) {
    (void)path, (void)info;
    size_t done = 0;
    while (done < length) {
        ssize_t const n = pread(file, data + done, length - done, offset + (off_t)done);
        if (n == 0) {
            break;
        }
        if (n < 0 && errno != EINTR) {
            return -errno;
        }
        done += n > 0 ? (size_t)n : 0;
    }
    return (int)done;
}

static int disk_write(char const* path, char const* data, size_t length, off_t offset, struct fuse_file_info* info) {
    (void)path, (void)info;
    if (offset < 0 || offset > size || (off_t)length > size - offset) {
        return -ENOSPC;
    }
    struct timespec left = {.tv_sec = wait_ns / 1000000000, .tv_nsec = wait_ns % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR) {
    }
    size_t done = 0;
    while (done < length) {
        ssize_t const n = pwrite(file, data + done, length - done, offset + (off_t)done);
        if (n == 0) {
            return -EIO;
        }
        if (n < 0 && errno != EINTR) {
            return -errno;
        }
        done += n > 0 ? (size_t)n : 0;
    }
    return (int)done;
}

static int disk_fsync(char const* path, int data_only, struct fuse_file_info* info) {
    (void)path, (void)data_only, (void)info;
    return fdatasync(file) == 0 ? 0 : -errno;
}

static struct fuse_operations const operations = {
    .init = disk_init,
    .getattr = disk_getattr,
    .readdir = disk_readdir,
    .open = disk_open,
    .read = disk_read,
    .write = disk_write,
    .fsync = disk_fsync,
};

int main(int argc, char** argv) {
    char* end = NULL;
    if (argc < 4 || (wait_ns = strtol(argv[2], &end, 10) * 1000) < 0 || *end != '\0') {
        fprintf(stderr, "Usage: latency_disk FILE MICROSECONDS FOLDER [FUSE-OPTION]...\n");
        return 2;
    }
    struct stat st;
    file = open(argv[1], O_RDWR | O_CLOEXEC);
    if (file < 0 || fstat(file, &st) != 0) {
        perror(argv[1]);
        return 1;
    }
    size = st.st_size;
    prctl(PR_SET_TIMERSLACK, 1000UL); /* its threads inherit it: otherwise each wait is 50 us longer */
    struct fuse_args arguments = FUSE_ARGS_INIT(0, NULL);
    fuse_opt_add_arg(&arguments, argv[0]);
    fuse_opt_add_arg(&arguments, "-f");
    fuse_opt_add_arg(&arguments, "-oclone_fd,max_threads=64,max_idle_threads=64");
    for (int i = 3; i < argc; ++i) {
        fuse_opt_add_arg(&arguments, argv[i]);
    }
    int const result = fuse_main(arguments.argc, arguments.argv, &operations, NULL);
    fuse_opt_free_args(&arguments);
    close(file);
    return result;
}
