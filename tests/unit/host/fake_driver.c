/* Both libraries of NVIDIA's driver, as far as envforge asks them; what they do is said by variables.
 *
 * FAKE_INIT, FAKE_CU_INIT   what nvmlInit_v2 and cuInit return
 * FAKE_CUDA                 what is told of CUDA, 12080
 * FAKE_GPUS                 how many
 * FAKE_MIG                  1: the first GPU has two slices
 * FAKE_HANG, FAKE_CRASH     1: nvmlInit does
 * FAKE_NOISE                1: it writes on stdout
 *
 * Compiled with OLD it is a library from before MIG, without the _v2 functions.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct { unsigned long long total, free, used; } memory;

static int said(const char *name, int otherwise) {
    const char *text = getenv(name);
    return text ? atoi(text) : otherwise;
}

static void asked(void) {
    const char *log = getenv("FAKE_DRIVER_LOG");
    FILE *file = log ? fopen(log, "a") : NULL;
    if (file) { fputs("asked\n", file); fclose(file); }
}

static int start(void) {
    asked();
    if (said("FAKE_NOISE", 0)) { puts("NVML: a word of the library's own"); fflush(stdout); }
    if (said("FAKE_HANG", 0)) sleep(600);
    if (said("FAKE_CRASH", 0)) abort();
    return said("FAKE_INIT", 0);
}

#ifndef LIBCUDA
#ifdef OLD
int nvmlInit(void) { return start(); }
int nvmlSystemGetCudaDriverVersion(int *version) { *version = said("FAKE_CUDA", 12080); return 0; }
int nvmlDeviceGetCount(unsigned *count) { *count = said("FAKE_GPUS", 1); return 0; }
int nvmlDeviceGetHandleByIndex(unsigned index, void **handle) {
    *handle = (void *)(size_t)(index + 1);
    return 0;
}
#else
int nvmlInit_v2(void) { return start(); }
int nvmlSystemGetCudaDriverVersion_v2(int *version) { *version = said("FAKE_CUDA", 12080); return 0; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = said("FAKE_GPUS", 1); return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **handle) {
    *handle = (void *)(size_t)(index + 1);
    return 0;
}
int nvmlDeviceGetMigMode(void *handle, unsigned *current, unsigned *pending) {
    *current = *pending = said("FAKE_MIG", 0) && handle == (void *)1;
    return 0;
}
int nvmlDeviceGetMaxMigDeviceCount(void *handle, unsigned *count) { (void)handle; *count = 7; return 0; }
int nvmlDeviceGetMigDeviceHandleByIndex(void *handle, unsigned index, void **slice) {
    (void)handle;
    *slice = (void *)(size_t)(100 + index);
    return index < 2 ? 0 : 6;
}
#endif
int nvmlShutdown(void) { return 0; }
int nvmlSystemGetDriverVersion(char *text, unsigned size) { return snprintf(text, size, "570.124.06") < 0; }
int nvmlDeviceGetName(void *handle, char *text, unsigned size) {
    return snprintf(text, size, (size_t)handle >= 100 ? "NVIDIA H100 MIG 1g.10gb" : "NVIDIA H100") < 0;
}
int nvmlDeviceGetCudaComputeCapability(void *handle, int *major, int *minor) {
    (void)handle;
    *major = 9;
    *minor = 0;
    return 0;
}
int nvmlDeviceGetMemoryInfo(void *handle, memory *told) {
    (void)handle;
    told->total = 85520809984ULL;
    told->free = told->used = 0;
    return 0;
}
#else
int cuDriverGetVersion(int *version) { *version = said("FAKE_CUDA", 12080); return 0; }
int cuInit(unsigned flags) { (void)flags; return said("FAKE_CU_INIT", 0); }
int cuDeviceGetCount(int *count) { *count = said("FAKE_GPUS", 1); return 0; }
int cuDeviceGet(int *device, int index) { *device = index; return 0; }
int cuDeviceGetName(char *text, int size, int device) {
    (void)device;
    return snprintf(text, (size_t)size, "Orin") < 0;
}
int cuDeviceGetAttribute(int *value, int attribute, int device) {
    (void)device;
    *value = attribute == 75 ? 8 : attribute == 76 ? 7 : -1;
    return 0;
}
int cuDeviceTotalMem_v2(size_t *size, int device) { (void)device; *size = 32212254720ULL; return 0; }
#endif
