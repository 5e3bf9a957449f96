/* A stand-in for NVIDIA's management library, for hosts without a GPU: one Quadro RTX 6000 that nothing computes on.
 *
 * The GPU's identity follows the host's name, read from etc/hostname beside the tree this library lies in, so that the
 * host and a container that mounts only the driver's tree see the same GPU. Facts that nobody could measure here
 * (temperature, power, clocks) are "not supported" rather than made up.
 *
 * Environment, for drills: MOCK_NVML_GPUS (1), MOCK_NVML_NAME, MOCK_NVML_MEM_MIB (24576), MOCK_NVML_NODE (the host's
 * name), MOCK_NVML_XID_FILE ("INDEX XID" there is delivered once as a critical error).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    OK = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7, TIMEOUT = 10
};
enum { MAX_GPUS = 16, UUID_SIZE = 48, BRAND_QUADRO_RTX = 12, ARCHITECTURE_TURING = 6, XID_EVENT = 8 };
#define DRIVER_VERSION "580.95.05"
#define CUDA_VERSION 13000
#define TU102_QUADRO_RTX_6000 0x1e3010deu

typedef int Return;
typedef struct { unsigned index; char uuid[UUID_SIZE]; } Gpu;
typedef struct { unsigned long long total, free, used; } Memory;
typedef struct { unsigned version; unsigned long long total, reserved, free, used; } Memory_v2;
typedef struct { unsigned gpu, memory; } Utilization;
typedef struct { char legacy_id[16]; unsigned domain, bus, device, device_id, subsystem_id; char id[32]; } Pci;
typedef struct { Gpu *gpu; unsigned long long type, data; unsigned gpu_instance, compute_instance; } Event;

static Gpu gpus[MAX_GPUS];
static unsigned gpu_count;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static const char *setting(const char *name, const char *otherwise) {
    const char *value = getenv(name);
    return value != NULL && *value != '\0' ? value : otherwise;
}

/* <tree>/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1 -> <tree>/etc/hostname */
static void read_host_name(char *name, size_t size) {
    Dl_info self;
    char path[PATH_MAX];
    FILE *file = NULL;
    if (dladdr((void *)read_host_name, &self) != 0 && realpath(self.dli_fname, path) != NULL) {
        char *cut = path;
        for (int up = 0; up < 4 && cut != NULL; up++) {
            cut = strrchr(path, '/');
            if (cut != NULL) *cut = '\0';
        }
        strncat(path, "/etc/hostname", sizeof path - strlen(path) - 1);
        file = fopen(path, "r");
    }
    if (file == NULL || fgets(name, (int)size, file) == NULL) gethostname(name, size);
    if (file != NULL) fclose(file);
    name[size - 1] = '\0';
    name[strcspn(name, "\n")] = '\0';
}

static void set_up(void) {
    char name[256] = "";
    read_host_name(name, sizeof name);
    unsigned hash = 5381;
    for (const char *c = setting("MOCK_NVML_NODE", name); *c != '\0'; c++) hash = hash * 33 + (unsigned char)*c;
    int wanted = atoi(setting("MOCK_NVML_GPUS", "1"));
    gpu_count = wanted < 0 ? 0 : wanted > MAX_GPUS ? MAX_GPUS : (unsigned)wanted;
    for (unsigned i = 0; i < gpu_count; i++) {
        gpus[i].index = i;
        snprintf(gpus[i].uuid, UUID_SIZE, "GPU-%08x-0000-4000-8000-%012x", hash, i);
    }
}

static unsigned long long memory_bytes(void) { return strtoull(setting("MOCK_NVML_MEM_MIB", "24576"), NULL, 10) << 20; }

static Return give_text(char *to, unsigned size, const char *text) {
    if (strlen(text) >= size) return INSUFFICIENT_SIZE;
    strcpy(to, text);
    return OK;
}

/* library */
Return nvmlInitWithFlags(unsigned flags) { (void)flags; pthread_once(&once, set_up); return OK; }
Return nvmlInit_v2(void) { return nvmlInitWithFlags(0); }
Return nvmlInit(void) { return nvmlInitWithFlags(0); }
Return nvmlShutdown(void) { return OK; }
const char *nvmlErrorString(Return code) {
    switch (code) {
    case OK: return "Success";
    case UNINITIALIZED: return "Uninitialized";
    case INVALID_ARGUMENT: return "Invalid Argument";
    case NOT_SUPPORTED: return "Not Supported";
    case NOT_FOUND: return "Not Found";
    case INSUFFICIENT_SIZE: return "Insufficient Size";
    case TIMEOUT: return "Timeout";
    default: return "Unknown Error";
    }
}

/* system */
Return nvmlSystemGetDriverVersion(char *to, unsigned size) { return give_text(to, size, DRIVER_VERSION); }
Return nvmlSystemGetNVMLVersion(char *to, unsigned size) { return give_text(to, size, "13." DRIVER_VERSION); }
Return nvmlSystemGetCudaDriverVersion(int *version) { *version = CUDA_VERSION; return OK; }
Return nvmlSystemGetCudaDriverVersion_v2(int *version) { *version = CUDA_VERSION; return OK; }

/* which GPUs there are */
Return nvmlDeviceGetCount_v2(unsigned *count) { *count = gpu_count; return OK; }
Return nvmlDeviceGetCount(unsigned *count) { return nvmlDeviceGetCount_v2(count); }
Return nvmlDeviceGetHandleByIndex_v2(unsigned index, Gpu **gpu) {
    if (index >= gpu_count) return INVALID_ARGUMENT;
    *gpu = &gpus[index];
    return OK;
}
Return nvmlDeviceGetHandleByIndex(unsigned index, Gpu **gpu) { return nvmlDeviceGetHandleByIndex_v2(index, gpu); }
Return nvmlDeviceGetHandleByUUID(const char *uuid, Gpu **gpu) {
    for (unsigned i = 0; i < gpu_count; i++)
        if (strcmp(uuid, gpus[i].uuid) == 0) return nvmlDeviceGetHandleByIndex_v2(i, gpu);
    return NOT_FOUND;
}
Return nvmlDeviceGetHandleByPciBusId_v2(const char *id, Gpu **gpu) {
    unsigned domain, bus, device;
    if (sscanf(id, "%x:%x:%x", &domain, &bus, &device) != 3 || bus < 1 || bus > gpu_count) return NOT_FOUND;
    return nvmlDeviceGetHandleByIndex_v2(bus - 1, gpu);
}

/* what a GPU is */
Return nvmlDeviceGetName(Gpu *gpu, char *to, unsigned size) {
    (void)gpu;
    return give_text(to, size, setting("MOCK_NVML_NAME", "Quadro RTX 6000"));
}
Return nvmlDeviceGetUUID(Gpu *gpu, char *to, unsigned size) { return give_text(to, size, gpu->uuid); }
Return nvmlDeviceGetIndex(Gpu *gpu, unsigned *index) { *index = gpu->index; return OK; }
Return nvmlDeviceGetMinorNumber(Gpu *gpu, unsigned *minor) { *minor = gpu->index; return OK; }
Return nvmlDeviceGetBrand(Gpu *gpu, unsigned *brand) { (void)gpu; *brand = BRAND_QUADRO_RTX; return OK; }
Return nvmlDeviceGetArchitecture(Gpu *gpu, unsigned *arch) { (void)gpu; *arch = ARCHITECTURE_TURING; return OK; }
Return nvmlDeviceGetCudaComputeCapability(Gpu *gpu, int *major, int *minor) {
    (void)gpu;
    *major = 7;
    *minor = 5;
    return OK;
}
Return nvmlDeviceGetPciInfo_v3(Gpu *gpu, Pci *pci) {
    memset(pci, 0, sizeof *pci);
    pci->bus = gpu->index + 1;
    pci->device_id = TU102_QUADRO_RTX_6000;
    snprintf(pci->legacy_id, sizeof pci->legacy_id, "0000:%02X:00.0", pci->bus);
    snprintf(pci->id, sizeof pci->id, "00000000:%02X:00.0", pci->bus);
    return OK;
}

/* what a GPU does: nothing */
Return nvmlDeviceGetMemoryInfo(Gpu *gpu, Memory *memory) {
    (void)gpu;
    *memory = (Memory){.total = memory_bytes(), .free = memory_bytes(), .used = 0};
    return OK;
}
Return nvmlDeviceGetMemoryInfo_v2(Gpu *gpu, Memory_v2 *memory) {
    (void)gpu;
    memory->total = memory->free = memory_bytes();
    memory->reserved = memory->used = 0;
    return OK;
}
Return nvmlDeviceGetUtilizationRates(Gpu *gpu, Utilization *rates) {
    (void)gpu;
    *rates = (Utilization){0, 0};
    return OK;
}
Return nvmlDeviceGetComputeRunningProcesses_v3(Gpu *gpu, unsigned *count, void *processes) {
    (void)gpu, (void)processes;
    *count = 0;
    return OK;
}

/* what this GPU is not: partitioned, linked, or part of a fabric */
Return nvmlDeviceGetMigMode(Gpu *gpu, unsigned *now, unsigned *pending) { (void)gpu, (void)now, (void)pending; return NOT_SUPPORTED; }
Return nvmlDeviceGetMaxMigDeviceCount(Gpu *gpu, unsigned *count) { (void)gpu; *count = 0; return OK; }
Return nvmlDeviceIsMigDeviceHandle(Gpu *gpu, unsigned *is_mig) { (void)gpu; *is_mig = 0; return OK; }
Return nvmlDeviceGetVirtualizationMode(Gpu *gpu, unsigned *mode) { (void)gpu; *mode = 0; return OK; }
Return nvmlDeviceGetTopologyCommonAncestor(Gpu *one, Gpu *other, unsigned *level) {
    (void)one, (void)other;
    *level = 50; /* the whole machine */
    return OK;
}
Return nvmlDeviceGetNvLinkState(Gpu *gpu, unsigned link, unsigned *state) { (void)gpu, (void)link, (void)state; return NOT_SUPPORTED; }
Return nvmlDeviceGetGpuFabricInfo(Gpu *gpu, void *info) { (void)gpu, (void)info; return NOT_SUPPORTED; }
Return nvmlDeviceGetAddressingMode(Gpu *gpu, void *mode) { (void)gpu, (void)mode; return NOT_SUPPORTED; }

/* critical errors, from a file */
Return nvmlEventSetCreate(void **set) { *set = malloc(1); return OK; }
Return nvmlEventSetFree(void *set) { free(set); return OK; }
Return nvmlDeviceGetSupportedEventTypes(Gpu *gpu, unsigned long long *types) { (void)gpu; *types = XID_EVENT; return OK; }
Return nvmlDeviceRegisterEvents(Gpu *gpu, unsigned long long types, void *set) { (void)gpu, (void)types, (void)set; return OK; }
Return nvmlEventSetWait_v2(void *set, Event *event, unsigned wait_ms) {
    (void)set;
    const char *path = setting("MOCK_NVML_XID_FILE", "/run/mock-nvml/xid");
    for (unsigned waited_ms = 0; waited_ms < wait_ms; waited_ms += 200) {
        FILE *file = fopen(path, "r");
        if (file != NULL) {
            unsigned index, xid;
            int read = fscanf(file, "%u %u", &index, &xid);
            fclose(file);
            unlink(path);
            if (read == 2 && index < gpu_count) {
                *event = (Event){&gpus[index], XID_EVENT, xid, UINT_MAX, UINT_MAX};
                return OK;
            }
        }
        usleep(200000);
    }
    return TIMEOUT;
}
Return nvmlEventSetWait(void *set, Event *event, unsigned wait_ms) { return nvmlEventSetWait_v2(set, event, wait_ms); }
