/* A stand-in for the driver's library, for machines without a GPU.
 *
 * NVIDIA's own Python binding loads it in place of libnvidia-ml.so.1. It reads the file that
 * STANDIN_NVML names at every call, one line a GPU:
 *
 *     <uuid> <total MiB> <used MiB> <errors not corrected, or -1 for "cannot count"> <answers: 0 or 1>
 */
#include <stdio.h>
#include <stdlib.h>

enum { OK = 0, INVALID = 2, NOT_SUPPORTED = 3, NO_DRIVER = 9, LOST = 15 };
#define MOST 8
#define MIB (1ULL << 20)

struct gpu {
    char uuid[64];
    unsigned long long total, used;
    long long errors;
    int answers;
};
struct memory {
    unsigned long long total, free, used;
};
static char handles[MOST];

static int gpus(struct gpu *found) {
    const char *name = getenv("STANDIN_NVML");
    FILE *file = name ? fopen(name, "r") : NULL;
    int count = 0;
    if (!file) return -1;
    while (count < MOST && fscanf(file, "%63s %llu %llu %lld %d", found[count].uuid,
                                  &found[count].total, &found[count].used, &found[count].errors,
                                  &found[count].answers) == 5)
        count++;
    fclose(file);
    return count;
}

static int look(void *handle, struct gpu *one) {
    struct gpu all[MOST];
    int number = (int)((char *)handle - handles), count = gpus(all);
    if (number < 0 || number >= count) return INVALID;
    *one = all[number];
    return one->answers ? OK : LOST;
}

int nvmlInitWithFlags(unsigned flags) {
    struct gpu all[MOST];
    return flags == 0 && gpus(all) >= 0 ? OK : NO_DRIVER;
}

int nvmlShutdown(void) { return OK; }

const char *nvmlErrorString(int code) {
    return code == LOST ? "GPU is lost" : code == NO_DRIVER ? "Driver Not Loaded" : "Some error";
}

int nvmlDeviceGetCount_v2(unsigned *count) {
    struct gpu all[MOST];
    *count = (unsigned)gpus(all);
    return OK;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned number, void **handle) {
    struct gpu all[MOST];
    if ((int)number >= gpus(all)) return INVALID;
    *handle = handles + number;
    return OK;
}

int nvmlDeviceGetUUID(void *handle, char *text, unsigned size) {
    struct gpu one;
    int code = look(handle, &one);
    if (code == OK) snprintf(text, size, "%s", one.uuid);
    return code;
}

int nvmlDeviceGetName(void *handle, char *text, unsigned size) {
    struct gpu one;
    int code = look(handle, &one);
    if (code == OK) snprintf(text, size, "Stand-in");
    return code;
}

int nvmlDeviceGetMemoryInfo(void *handle, struct memory *memory) {
    struct gpu one;
    int code = look(handle, &one);
    if (code != OK) return code;
    memory->total = one.total * MIB;
    memory->used = one.used * MIB;
    memory->free = (one.total - one.used) * MIB;
    return OK;
}

int nvmlDeviceGetTotalEccErrors(void *handle, int kind, int counter, unsigned long long *count) {
    struct gpu one;
    int code = look(handle, &one);
    if (code != OK) return code;
    if (kind != 1 || counter != 0) return INVALID; /* uncorrected, since the driver started */
    if (one.errors < 0) return NOT_SUPPORTED;
    *count = (unsigned long long)one.errors;
    return OK;
}
