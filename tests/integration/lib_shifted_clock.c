// Loaded before the C library: shifts CLOCK_REALTIME ten minutes back while the file $SHIFT_FILE exists.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec* now) {
    static int (*real)(clockid_t, struct timespec*);
    if (!real) {
        real = (int (*)(clockid_t, struct timespec*))dlsym(RTLD_NEXT, "clock_gettime");
    }
    int const status = real(clock, now);
    if (status == 0 && clock == CLOCK_REALTIME && access(getenv("SHIFT_FILE"), F_OK) == 0) {
        now->tv_sec -= 600;
    }
    return status;
}
