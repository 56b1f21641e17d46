/* For LD_PRELOAD: every fsync and fdatasync takes as many milliseconds longer as the file that CHAOS_FSYNC names says now. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void wait_as_told(void)
{
    const char *name = getenv("CHAOS_FSYNC");
    FILE *file = name ? fopen(name, "re") : NULL;
    long milliseconds = 0;
    if (file == NULL)
        return;
    if (fscanf(file, "%ld", &milliseconds) != 1)
        milliseconds = 0;
    fclose(file);
    struct timespec left = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        ;
}

static int really(const char *name, int descriptor)
{
    int (*call)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    wait_as_told();
    return call(descriptor);
}

int fsync(int descriptor) { return really("fsync", descriptor); }
int fdatasync(int descriptor) { return really("fdatasync", descriptor); }
